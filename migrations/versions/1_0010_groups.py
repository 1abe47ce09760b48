"""Groups of dramatiq messages, and their finished messages.

Revision: 1_0010, after 1_0009.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0010"
down_revision = "1_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_groups",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("done between 0 and size", name=op.f("ck_job_groups_done")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_groups")),
    )
    op.create_index("ix_job_groups_changed", "job_groups", ["changed_at"])
    op.create_table(
        "job_group_members",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_group_members")),
    )
    op.create_index("ix_job_group_members_group", "job_group_members", ["group_id"])


def downgrade() -> None:
    op.drop_index("ix_job_group_members_group", table_name="job_group_members")
    op.drop_table("job_group_members")
    op.drop_index("ix_job_groups_changed", table_name="job_groups")
    op.drop_table("job_groups")
