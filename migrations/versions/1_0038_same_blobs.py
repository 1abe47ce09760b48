"""Stored values: finds one with the same content, and records when each was verified last.

Revision: 1_0038, after 1_0037.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0038"
down_revision = "1_0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.build_index("ix_job_blobs_sha256", "job_blobs", ["sha256"])
    op.add_column("job_blobs", sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("job_blobs", sa.Column("problem", sa.String(length=40), nullable=True))


def downgrade() -> None:
    op.drop_column("job_blobs", "problem")
    op.drop_column("job_blobs", "verified_at")
    op.drop_index("ix_job_blobs_sha256", table_name="job_blobs")
