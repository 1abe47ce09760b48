"""The zone data that a schedule's next slot was computed with.

Revision: 1_0012, after 1_0011.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0012"
down_revision = "1_0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job_schedules", sa.Column("zone_data", sa.String(length=20), nullable=True))


def downgrade() -> None:
    op.drop_column("job_schedules", "zone_data")
