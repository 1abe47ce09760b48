"""Runs that start when other runs have ended.

Revision: 1_0020, after 1_0019.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0020"
down_revision = "1_0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_parents",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("on_dead", sa.String(length=6), nullable=False),
        sa.CheckConstraint("on_dead in ('cancel', 'hold', 'run')", name=op.f("ck_job_parents_on_dead")),
        sa.PrimaryKeyConstraint("run_id", "parent_id", name=op.f("pk_job_parents")),
    )
    op.create_index("ix_job_parents_parent", "job_parents", ["parent_id"])


def downgrade() -> None:
    # The earlier release frees no run that waits for others: these are due.
    op.execute(
        "update job_runs set hold = null, held_on = null, run_at = coalesce(due_at, held_at), held_at = null, "
        "due_at = null where state = 'queued' and held_on = 'parents'"
    )
    op.drop_index("ix_job_parents_parent", table_name="job_parents")
    op.drop_table("job_parents")
