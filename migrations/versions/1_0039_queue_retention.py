"""Retention of queues: how long their ended runs are kept, as operators set it.

Revision: 1_0039, after 1_0038.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0039"
down_revision = "1_0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    kept = sa.JSON().with_variant(sa.Text(), "sqlite")
    op.add_column("job_queues", sa.Column("retain", kept, nullable=True))


def downgrade() -> None:
    op.drop_column("job_queues", "retain")
