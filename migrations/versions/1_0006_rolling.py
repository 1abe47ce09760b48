"""When an operator asked a worker's supervisor to replace its processes one by one.

Revision: 1_0006, after 1_0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0006"
down_revision = "1_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job_workers", sa.Column("roll_requested_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("job_workers", "roll_requested_at")
