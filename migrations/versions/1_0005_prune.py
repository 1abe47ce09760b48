"""Indexes of rows that are deleted by age: purged runs, operators' actions, schedules' slots.

Revision: 1_0005, after 1_0004.
"""

from alembic import op

revision = "1_0005"
down_revision = "1_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.build_index("ix_job_runs_purged", "job_runs", ["deleted_at"], where="deleted_at is not null")
    op.build_index("ix_operator_actions_finished", "operator_actions", ["finished_at"])
    op.build_index("ix_job_schedule_slots_decided", "job_schedule_slots", ["decided_at"])


def downgrade() -> None:
    op.drop_index("ix_job_schedule_slots_decided", table_name="job_schedule_slots")
    op.drop_index("ix_operator_actions_finished", table_name="operator_actions")
    op.drop_index("ix_job_runs_purged", table_name="job_runs")
