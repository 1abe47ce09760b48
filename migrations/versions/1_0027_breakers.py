"""Breakers: the slices that are open, the failures that count towards opening one, and the canaries.

Revision: 1_0027, after 1_0026.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0027"
down_revision = "1_0026"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "job_breakers",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=True),
        sa.Column("keyed_by", sa.String(length=100), nullable=True),
        sa.Column("after", sa.Integer(), nullable=True),
        sa.Column("within_seconds", sa.Float(), nullable=True),
        sa.Column("open_seconds", sa.Float(), nullable=True),
        sa.Column("opened_at", MOMENT, nullable=True),
        sa.Column("probe_at", MOMENT, nullable=True),
        sa.Column("fingerprint", sa.String(length=16), nullable=True),
        sa.Column("error_type", sa.String(length=200), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=True),
        sa.Column("failed_canaries", sa.Integer(), nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.CheckConstraint("(opened_at is null) = (probe_at is null)", name=op.f("ck_job_breakers_open_whole")),
        sa.PrimaryKeyConstraint("name", "digest", name=op.f("pk_job_breakers")),
    )
    op.create_table(
        "job_breaker_failures",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("fingerprint", sa.String(length=16), nullable=False),
        sa.Column("failed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "attempt", name=op.f("pk_job_breaker_failures")),
    )
    op.create_index(
        "ix_job_breaker_failures_slice", "job_breaker_failures", ["name", "digest", "fingerprint", "failed_at"]
    )
    op.create_table(
        "job_breaker_canaries",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("token", sa.Uuid(), nullable=True),
        sa.Column("since", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_job_breaker_canaries")),
    )
    op.create_index("ix_job_breaker_canaries_slice", "job_breaker_canaries", ["name", "digest"])


def downgrade() -> None:
    # Parked runs are due again: the earlier release knows no breaker that would free them.
    op.execute(
        "update job_runs set run_at = coalesce(due_at, state_at), hold = null, held_at = null, held_on = null, "
        "due_at = null where state = 'queued' and hold = 'parked' and held_on like 'breaker:%'"
    )
    op.drop_table("job_breaker_canaries")
    op.drop_table("job_breaker_failures")
    op.drop_table("job_breakers")
