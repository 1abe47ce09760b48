"""How many runs may wait in a queue.

Revision: 1_0029, after 1_0028.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0029"
down_revision = "1_0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job_queues", sa.Column("max_waiting", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("job_queues", "max_waiting")
