"""Rates of how many runs start within a span, the slots that are reserved for runs, and holds that runs ask for.

Revision: 1_0025, after 1_0024.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0025"
down_revision = "1_0024"
branch_labels = None
depends_on = None

COLUMNS = (
    ("rate_count", sa.Integer()),
    ("rate_seconds", sa.Double()),
    ("rate_burst", sa.Integer()),
    ("rate_keyed_by", sa.String(length=100)),
    ("set_rate_count", sa.Integer()),
    ("set_rate_seconds", sa.Double()),
    ("rate_started", sa.BigInteger()),
    ("rate_lines", sa.Text()),
    ("run_hold_until", sa.DateTime(timezone=True)),
    ("run_hold_by", sa.Uuid()),
)


def upgrade() -> None:
    for name, kind in COLUMNS:
        op.add_column("job_limits", sa.Column(name, kind, nullable=True))
    op.create_table(
        "job_rate_slots",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "name", name=op.f("pk_job_rate_slots")),
    )
    op.create_index("ix_job_rate_slots_place", "job_rate_slots", ["place"])


def downgrade() -> None:
    # A run on its slot is due when it was due before.
    op.execute(
        "update job_runs set run_at = coalesce(due_at, held_at), hold = null, held_on = null, held_at = null, "
        "due_at = null where state = 'queued' and hold is not null and held_on like 'rate:%'"
    )
    op.drop_index("ix_job_rate_slots_place", table_name="job_rate_slots")
    op.drop_table("job_rate_slots")
    for name, _ in reversed(COLUMNS):
        op.drop_column("job_limits", name)
