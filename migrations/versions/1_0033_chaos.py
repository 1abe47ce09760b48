"""Chaos: the mark of a ledger for it, effects while it is run, and which workers were started for it.

Revision: 1_0033, after 1_0032.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0033"
down_revision = "1_0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job_workers", sa.Column("chaos", sa.String(length=40), nullable=True))
    op.add_column("job_workers", sa.Column("process", sa.String(length=100), nullable=True))
    op.create_table(
        "job_chaos_targets",
        sa.Column("target", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("allowed_by", sa.String(length=200), nullable=False),
        sa.Column("allowed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("allowed_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_by", sa.String(length=200), nullable=True),
        sa.Column("run_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_job_chaos_targets")),
    )
    op.create_table(
        "job_chaos_effects",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("token", sa.Uuid(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("commits", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "token", name=op.f("pk_job_chaos_effects")),
    )


def downgrade() -> None:
    op.drop_table("job_chaos_effects")
    op.drop_table("job_chaos_targets")
    op.drop_column("job_workers", "process")
    op.drop_column("job_workers", "chaos")
