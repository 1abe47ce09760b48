"""Attempt logs: the log lines of each attempt.

Revision: 1_0030, after 1_0029.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0030"
down_revision = "1_0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_sqlite = op.get_context().dialect.name == "sqlite"
    op.create_table(
        "job_attempt_logs",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("token", sa.Uuid(), nullable=False),
        sa.Column("lines", sa.Text() if is_sqlite else sa.JSON(), nullable=False),
        sa.Column("line_count", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("left_out between 0 and line_count", name=op.f("ck_job_attempt_logs_left_out")),
        sa.PrimaryKeyConstraint("run_id", "attempt", name=op.f("pk_job_attempt_logs")),
    )


def downgrade() -> None:
    op.drop_table("job_attempt_logs")
