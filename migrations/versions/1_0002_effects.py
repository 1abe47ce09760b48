"""Keys, steps and follow-ups.

Revision: 1_0002, after 1_0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0002"
down_revision = "1_0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(sa.Text(), "sqlite")
LIVE_KEY = "key is not null and state in ('queued', 'running')"


def upgrade() -> None:
    op.build_index("uq_job_runs_live_key", "job_runs", ["kind", "key"], where=LIVE_KEY, unique=True)
    op.add_column("job_runs", sa.Column("has_followups", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "job_keys",
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("arguments_hash", sa.String(length=32), nullable=False),
        sa.Column("held_until", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("kind", "key", name=op.f("pk_job_keys")),
    )
    op.create_index("ix_job_keys_held_until", "job_keys", ["held_until"], unique=False)
    op.create_table(
        "job_steps",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("form", sa.String(length=10), nullable=False),
        sa.Column("token", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("result", JSON, nullable=True),
        sa.CheckConstraint("form in ('cursor', 'effect')", name=op.f("ck_job_steps_form")),
        sa.PrimaryKeyConstraint("run_id", "name", name=op.f("pk_job_steps")),
    )
    op.create_table(
        "job_followups",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("on_state", sa.String(length=10), nullable=False),
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("run", JSON, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("enqueued_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "on_state in ('cancelled', 'dead', 'ended', 'succeeded')", name=op.f("ck_job_followups_on_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_followups")),
    )
    op.create_index("ix_job_followups_run", "job_followups", ["run_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_job_followups_run", table_name="job_followups")
    op.drop_table("job_followups")
    op.drop_table("job_steps")
    op.drop_index("ix_job_keys_held_until", table_name="job_keys")
    op.drop_table("job_keys")
    op.drop_index("uq_job_runs_live_key", table_name="job_runs")
    op.drop_column("job_runs", "has_followups")
