"""Schedules, their slots, the leader; and the schedule that made a run.

Revision: 1_0004, after 1_0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0004"
down_revision = "1_0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(sa.Text(), "sqlite")
LIVE = "schedule is not null and state in ('queued', 'running')"
SUCCESS = "schedule is not null and state = 'succeeded'"
DUE = "next_slot_at is not null and paused_at is null"
HELD = "held_slot_at is not null and paused_at is null"


def upgrade() -> None:
    # The indexes need the column. The steps before an index build are committed, so a second try finds the column.
    may_be_there = op.get_context().dialect.name == "postgresql"
    schedule = sa.Column("schedule", sa.String(length=200), nullable=True)
    op.add_column("job_runs", schedule, if_not_exists=may_be_there or None)
    op.build_index("ix_job_runs_of_schedule", "job_runs", ["schedule"], where=LIVE)
    op.build_index("ix_job_runs_schedule_success", "job_runs", ["schedule", "finished_at"], where=SUCCESS)
    op.create_table(
        "job_schedules",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("owner", sa.String(length=10), nullable=False),
        sa.Column("module", sa.String(length=300), nullable=True),
        sa.Column("place", sa.String(length=500), nullable=True),
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("queue", sa.String(length=100), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("arguments", JSON, nullable=False),
        sa.Column("arguments_version", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("definition", JSON, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.Column("paused_at", MOMENT, nullable=True),
        sa.Column("paused_by", sa.String(length=200), nullable=True),
        sa.Column("pause_reason", sa.String(length=500), nullable=True),
        sa.Column("decided_until", MOMENT, nullable=False),
        sa.Column("next_slot_at", MOMENT, nullable=True),
        sa.Column("held_slot_at", MOMENT, nullable=True),
        sa.Column("last_slot_at", MOMENT, nullable=True),
        sa.Column("last_fired_at", MOMENT, nullable=True),
        sa.Column("last_run_id", sa.Uuid(), nullable=True),
        sa.Column("problem", sa.String(length=500), nullable=True),
        sa.CheckConstraint("owner in ('code', 'operator')", name=op.f("ck_job_schedules_owner")),
        sa.CheckConstraint(
            "(owner = 'code') = (module is not null)", name=op.f("ck_job_schedules_module_exactly_when_code")
        ),
        sa.CheckConstraint(
            "paused_at is not null or (paused_by is null and pause_reason is null)",
            name=op.f("ck_job_schedules_pause_whole"),
        ),
        sa.CheckConstraint(
            "(last_slot_at is null) = (last_fired_at is null)", name=op.f("ck_job_schedules_last_whole")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job_schedules")),
    )
    _index("ix_job_schedules_due", "job_schedules", ["next_slot_at"], DUE)
    _index("ix_job_schedules_held", "job_schedules", ["name"], HELD)
    op.create_table(
        "job_schedule_slots",
        sa.Column("schedule", sa.String(length=200), nullable=False),
        sa.Column("slot_at", MOMENT, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("why", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", MOMENT, nullable=False),
        sa.Column("older_missed", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state in ('backfilled', 'fired', 'missed', 'skipped')", name=op.f("ck_job_schedule_slots_state")
        ),
        sa.CheckConstraint(
            "(state in ('backfilled', 'fired')) = (run_id is not null)",
            name=op.f("ck_job_schedule_slots_run_exactly_when_fired"),
        ),
        sa.CheckConstraint("older_missed >= 0", name=op.f("ck_job_schedule_slots_older_missed_from_zero")),
        sa.PrimaryKeyConstraint("schedule", "slot_at", name=op.f("pk_job_schedule_slots")),
    )
    op.create_table(
        "job_leaders",
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("holder", sa.String(length=200), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("lease_until", MOMENT, nullable=False),
        sa.Column("ticked_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("role", name=op.f("pk_job_leaders")),
    )


def downgrade() -> None:
    op.drop_index("ix_job_runs_schedule_success", table_name="job_runs")
    op.drop_index("ix_job_runs_of_schedule", table_name="job_runs")
    op.drop_column("job_runs", "schedule")
    op.drop_table("job_leaders")
    op.drop_table("job_schedule_slots")
    op.drop_index("ix_job_schedules_held", table_name="job_schedules")
    op.drop_index("ix_job_schedules_due", table_name="job_schedules")
    op.drop_table("job_schedules")


def _index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, postgresql_where=sa.text(where), sqlite_where=sa.text(where))
