"""The settings of history, and how long runs of a kind are kept. "jobledger history enable" makes history's tables.

Revision: 1_0032, after 1_0031.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0032"
down_revision = "1_0031"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "job_history_settings",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("period", sa.String(length=5), nullable=False),
        sa.Column("enabled_at", MOMENT, nullable=False),
        sa.Column("moves_after", MOMENT, nullable=False),
        sa.Column("disabled_at", MOMENT, nullable=True),
        sa.CheckConstraint("period in ('day', 'month', 'week')", name=op.f("ck_job_history_settings_period")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_history_settings")),
    )
    op.add_column("job_published_kinds", sa.Column("retain_seconds", sa.Float(), nullable=True))


def downgrade() -> None:
    op.drop_column("job_published_kinds", "retain_seconds")
    if op.get_context().dialect.name == "postgresql":
        op.execute("drop view if exists job_runs_all, job_attempts_all, job_attempt_logs_all, job_steps_all")
        op.execute(
            "drop table if exists job_steps_history, job_attempt_logs_history, job_attempts_history, job_history"
        )
    op.drop_table("job_history_settings")
