"""Queued runs that are held back: why, since when, on what, and when they were due.

Revision: 1_0016, after 1_0015.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0016"
down_revision = "1_0015"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
HOLD = "hold in ('parked', 'waiting')"
ON_HOLD = "state = 'queued' and hold is not null"


def upgrade() -> None:
    # The index needs the columns. The steps before an index build are committed, so a second try finds the columns.
    is_postgresql = op.get_context().dialect.name == "postgresql"
    if is_postgresql:
        op.add_column("job_runs", sa.Column("hold", sa.String(length=8), nullable=True), if_not_exists=True)
    else:
        op.execute(
            "alter table job_runs add column hold varchar(8) "
            "constraint ck_job_runs_hold check (hold in ('parked', 'waiting'))"
        )
    for column in (
        sa.Column("held_at", MOMENT, nullable=True),
        sa.Column("held_on", sa.String(length=300), nullable=True),
        sa.Column("due_at", MOMENT, nullable=True),
    ):
        op.add_column("job_runs", column, if_not_exists=is_postgresql or None)
    op.build_index("ix_job_runs_held", "job_runs", ["held_on", "priority", "due_at", "id"], where=ON_HOLD)
    if is_postgresql:
        # Existing rows are not checked, which would block every other connection: none is held.
        op.create_check_constraint(op.f("ck_job_runs_hold"), "job_runs", sa.text(HOLD), postgresql_not_valid=True)


def downgrade() -> None:
    # A held run is due again: the earlier release would never start one whose run_at is the end of the calendar.
    op.execute("update job_runs set run_at = coalesce(due_at, state_at) where state = 'queued' and hold is not null")
    op.drop_index("ix_job_runs_held", table_name="job_runs")
    for name in ("due_at", "held_on", "held_at", "hold"):
        op.drop_column("job_runs", name)
