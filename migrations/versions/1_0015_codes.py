"""The release of each job class in a worker process.

Revision: 1_0015, after 1_0014.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0015"
down_revision = "1_0014"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.add_column("job_workers", sa.Column("codes", JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("job_workers", "codes")
