"""Stored values: their rows, the ledger's own content in chunks, and the references of runs to them.

Revision: 1_0035, after 1_0034.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0035"
down_revision = "1_0034"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
TO_COLLECT = "collect_at is not null and removed_at is null"
REMOVED = "removed_at is not null"


def upgrade() -> None:
    op.create_table(
        "job_blobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store", sa.String(length=1000), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("collect_at", MOMENT, nullable=True),
        sa.Column("removed_at", MOMENT, nullable=True),
        sa.CheckConstraint("(size is null) = (sha256 is null)", name=op.f("ck_job_blobs_complete")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_blobs")),
    )
    for name, column, which in (("collect", "collect_at", TO_COLLECT), ("removed", "removed_at", REMOVED)):
        op.create_index(
            f"ix_job_blobs_{name}", "job_blobs", [column], postgresql_where=sa.text(which), sqlite_where=sa.text(which)
        )
    op.create_table(
        "job_blob_chunks",
        sa.Column("blob_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("blob_id", "number", name=op.f("pk_job_blob_chunks")),
    )
    op.create_table(
        "job_blob_refs",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("blob_id", sa.Uuid(), nullable=False),
        sa.Column("check_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "blob_id", name=op.f("pk_job_blob_refs")),
    )
    op.create_index("ix_job_blob_refs_blob_id", "job_blob_refs", ["blob_id"])
    op.create_index("ix_job_blob_refs_check_at", "job_blob_refs", ["check_at"])


def downgrade() -> None:
    for name in ("job_blob_refs", "job_blob_chunks", "job_blobs"):
        op.drop_table(name)
