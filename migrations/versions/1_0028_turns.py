"""Fair turns: the tenant of a run, and how far each tenant of a queue has come.

Revision: 1_0028, after 1_0027.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0028"
down_revision = "1_0027"
branch_labels = None
depends_on = None

OF_TENANT = "state = 'queued' and tenant is not null"


def upgrade() -> None:
    # The index needs the column. The steps before an index build are committed, so a second try finds the column.
    is_postgresql = op.get_context().dialect.name == "postgresql"
    op.add_column(
        "job_runs", sa.Column("tenant", sa.String(length=100), nullable=True), if_not_exists=is_postgresql or None
    )
    op.build_index("ix_job_runs_tenant", "job_runs", ["queue", "priority", "tenant", "run_at", "id"], where=OF_TENANT)
    op.create_table(
        "job_turns",
        sa.Column("queue", sa.String(length=100), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("tenant", sa.String(length=100), nullable=False),
        sa.Column("turn", sa.Float(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("resume_after", sa.String(length=100), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("queue", "priority", "tenant", name=op.f("pk_job_turns")),
    )


def downgrade() -> None:
    op.drop_table("job_turns")
    op.drop_index("ix_job_runs_tenant", table_name="job_runs")
    op.drop_column("job_runs", "tenant")
