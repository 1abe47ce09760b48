"""Limits of how many runs perform at once, and the slots that runs have of them.

Revision: 1_0021, after 1_0020.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0021"
down_revision = "1_0020"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "job_limits",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=True),
        sa.Column("keyed_by", sa.String(length=100), nullable=True),
        sa.Column("most", sa.Integer(), nullable=True),
        sa.Column("set_most", sa.Integer(), nullable=True),
        sa.Column("hold_until", MOMENT, nullable=True),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.CheckConstraint("most > 0 and (set_most is null or set_most > 0)", name=op.f("ck_job_limits_most")),
        sa.PrimaryKeyConstraint("name", "digest", name=op.f("pk_job_limits")),
    )
    op.create_table(
        "job_limit_slots",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("token", sa.Uuid(), nullable=True),
        sa.Column("taken_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "name", name=op.f("pk_job_limit_slots")),
    )
    op.create_index("ix_job_limit_slots_key", "job_limit_slots", ["name", "digest"])


def downgrade() -> None:
    op.drop_index("ix_job_limit_slots_key", table_name="job_limit_slots")
    op.drop_table("job_limit_slots")
    op.drop_table("job_limits")
