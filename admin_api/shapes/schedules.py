"""Schedules, what became of their slots, and when they would fire."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from admin_api.shapes.base import Because, Given, Moment, Name, Reason, Shape, values_of
from jobs.operations.schedules.views import ScheduleView


class When(Given):
    """When runs are made, and what becomes of slots that are late or overlap. What is left out takes its default."""

    type: Literal["cron", "every", "at"] | None = Field(None, examples=["cron"])
    expression: str | None = Field(None, max_length=200, description="Of `cron`: five fields.", examples=["0 9 * * *"])
    timezone: str | None = Field(None, max_length=100, description="Of `cron`.", examples=["Europe/Paris"])
    interval_seconds: float | None = Field(None, gt=0, le=3e9, description="Of `every`.")
    anchor: Moment | None = Field(None, description="Of `every`: where counting begins.")
    moment: Moment | None = Field(None, description="Of `at`.")
    catch_up: Literal["skip", "latest", "all"] | None = None
    max_catch_up: int | None = Field(None, ge=1, le=10_000)
    catch_up_window_seconds: float | None = Field(None, gt=0, le=3e9)
    overlap: Literal["skip", "queue_one", "allow", "cancel_running"] | None = None
    jitter_seconds: float | None = Field(None, ge=0, le=3e9)
    start: Moment | None = None
    end: Moment | None = None

    def data(self) -> dict[str, Any]:
        """What is said, as ``jobs.scheduling.serialize`` has it."""
        return self.model_dump(mode="json", exclude_unset=True)


class NewSchedule(Given):
    name: Name = Field(examples=["eu-report"])
    kind: Name = Field(examples=["Report"])
    when: When
    arguments: dict[str, Any] = Field({}, examples=[{"region": "eu"}])
    queue: str | None = Field(None, max_length=100, description="Instead of the job's.")
    priority: int | None = Field(None, ge=-1000, le=1000)
    reason: Reason = None


class ScheduleChange(Given):
    """What changes; null in `when` takes an option back to its default."""

    when: When | None = None
    arguments: dict[str, Any] | None = Field(None, description="All of them.")
    queue: str | None = Field(None, max_length=100)
    priority: int | None = Field(None, ge=-1000, le=1000)
    reason: Reason = None


class SchedulePause(Because):
    pass


class ScheduleRun(Because):
    scheduled_for: Moment | None = Field(None, description="Its slot's moment; now, if not said.")


class Backfill(Because):
    """Makes the runs of slots that made none."""

    since: Moment = Field(examples=["2026-11-01T00:00:00Z"])
    until: Moment = Field(examples=["2026-11-07T00:00:00Z"])
    dry_run: bool = Field(False, description="Only show the slots.")
    expect: int | None = Field(None, ge=0, description="Refuse unless exactly so many slots are without a run.")


class Backfilled(Shape):
    slots: list[datetime] = Field(description="The first hundred.")
    count: int
    made: int = Field(description="Runs made; 0 for a dry run.")


class Schedule(Shape):
    name: str
    state: str = Field(description="`active`, `paused`, `ended` or `broken`.")
    owner: str = Field(description="`code`, or `operator`.")
    kind: str
    queue: str
    priority: int
    arguments: Any
    definition: Any = Field(description="As `when` takes it.")
    when: str = Field(description="In words.", examples=["At 09:00 every day (Europe/Paris)"])
    place: str | None = Field(description="Where the code declares it.")
    created_at: datetime
    changed_at: datetime
    paused_at: datetime | None
    paused_by: str | None
    pause_reason: str | None
    next_slot_at: datetime | None
    held_slot_at: datetime | None
    last_slot_at: datetime | None
    last_fired_at: datetime | None
    last_run_id: UUID | None
    last_success_at: datetime | None
    late_seconds: float
    problem: str | None

    @classmethod
    def of(cls, view: ScheduleView) -> Schedule:
        record = view.record
        return cls(
            **values_of(record, set(cls.model_fields) - {"arguments", "definition", "when"}),
            arguments=json.loads(record.arguments),
            definition=json.loads(record.definition),
            when=view.when,
            last_success_at=view.last_success_at,
            late_seconds=view.late_seconds,
        )


class Slot(Shape):
    """What became of a slot. `older_missed` older ones have no row of their own."""

    slot_at: datetime
    state: str = Field(examples=["fired"])
    why: str
    run_id: UUID | None
    decided_at: datetime
    older_missed: int


class Planned(Shape):
    slot: datetime
    local: datetime = Field(description="By the schedule's clocks.")
    run_at: datetime
    note: str = Field(description="What is odd about it.")
