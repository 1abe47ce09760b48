"""Targets: the share of runs that shall succeed, of queues and kinds, and counts of runs for its error budget.

Revision: 1_0036, after 1_0035.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0036"
down_revision = "1_0035"
branch_labels = None
depends_on = None

LATENCY, SUCCESS = "latency_target_seconds", "success_target"


def upgrade() -> None:
    op.add_column("job_queues", sa.Column(SUCCESS, sa.Float(), nullable=True))
    for table in ("job_kinds", "job_published_kinds"):
        op.add_column(table, sa.Column(LATENCY, sa.Integer(), nullable=True))
        op.add_column(table, sa.Column(SUCCESS, sa.Float(), nullable=True))
    op.create_table(
        "job_target_counts",
        sa.Column("what", sa.String(length=5), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("succeeded", sa.BigInteger(), nullable=False),
        sa.Column("dead", sa.BigInteger(), nullable=False),
        sa.Column("is_hourly", sa.Boolean(), nullable=False),
        sa.CheckConstraint("what in ('kind', 'queue')", name=op.f("ck_job_target_counts_what")),
        sa.PrimaryKeyConstraint("what", "name", "counted_at", name=op.f("pk_job_target_counts")),
    )
    op.create_index("ix_job_target_counts_old", "job_target_counts", ["is_hourly", "counted_at"])


def downgrade() -> None:
    op.drop_index("ix_job_target_counts_old", table_name="job_target_counts")
    op.drop_table("job_target_counts")
    for table in ("job_published_kinds", "job_kinds"):
        op.drop_column(table, SUCCESS)
        op.drop_column(table, LATENCY)
    op.drop_column("job_queues", SUCCESS)
