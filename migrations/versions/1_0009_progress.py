"""Progress of operators' actions: when each was last active, and the request that asked for it.

Revision: 1_0009, after 1_0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0009"
down_revision = "1_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("operator_actions", sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("operator_actions", sa.Column("request_id", sa.String(length=100), nullable=True))


def downgrade() -> None:
    op.drop_column("operator_actions", "request_id")
    op.drop_column("operator_actions", "seen_at")
