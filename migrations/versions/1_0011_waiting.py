"""An index of waiting runs by name, for lists and for the known names. On a large backlog it takes a while to build.

Revision: 1_0011, after 1_0010.
"""

from alembic import op

revision = "1_0011"
down_revision = "1_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.build_index("ix_job_runs_waiting", "job_runs", ["kind", "queue", "state_at", "id"], where="state = 'queued'")


def downgrade() -> None:
    op.drop_index("ix_job_runs_waiting", table_name="job_runs")
