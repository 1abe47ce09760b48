"""Validates the CHECKs that earlier revisions added without reading the rows, and notes when a batch was recounted.

Revision: 1_0023, after 1_0022.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0023"
down_revision = "1_0022"
branch_labels = None
depends_on = None

CHECKS = (
    ("ck_job_runs_cause", "job_runs"),
    ("ck_job_runs_hold", "job_runs"),
    ("ck_job_attempts_outcome", "job_attempts"),
    ("ck_job_steps_form", "job_steps"),
)


def upgrade() -> None:
    for name, table in CHECKS:
        op.validate_check(name, table)
    op.add_column("job_batches", sa.Column("recounted_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    # The CHECKs stay valid: earlier releases write no other values.
    op.drop_column("job_batches", "recounted_at")
