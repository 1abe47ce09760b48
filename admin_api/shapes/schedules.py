"""Schedules, their slots, and previews."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from admin_api.shapes.base import Because, Given, Moment, Name, Reason, Shape, values_of
from jobs.operations.schedules.views import ScheduleView


class When(Given):
    """The timing of a schedule, and its policies for late and overlapping slots. Fields left out take their default."""

    type: Literal["cron", "every", "at"] | None = Field(None, examples=["cron"])
    expression: str | None = Field(None, max_length=200, description="For `cron`: five fields.", examples=["0 9 * * *"])
    timezone: str | None = Field(None, max_length=100, description="Of `cron`.", examples=["Europe/Paris"])
    interval_seconds: float | None = Field(None, gt=0, le=3e9, description="Of `every`.")
    anchor: Moment | None = Field(None, description="For `every`: the start of the count.")
    moment: Moment | None = Field(None, description="Of `at`.")
    catch_up: Literal["skip", "latest", "all"] | None = None
    max_catch_up: int | None = Field(None, ge=1, le=10_000)
    catch_up_window_seconds: float | None = Field(None, gt=0, le=3e9)
    overlap: Literal["skip", "queue_one", "allow", "cancel_running"] | None = None
    jitter_seconds: float | None = Field(None, ge=0, le=3e9)
    start: Moment | None = None
    end: Moment | None = None

    def data(self) -> dict[str, Any]:
        """The given fields, in the format of ``jobs.scheduling.serialize``."""
        return self.model_dump(mode="json", exclude_unset=True)


class NewSchedule(Given):
    name: Name = Field(examples=["eu-report"])
    kind: Name = Field(examples=["Report"])
    when: When
    arguments: dict[str, Any] = Field({}, examples=[{"region": "eu"}])
    queue: str | None = Field(None, max_length=100, description="Overrides the job's value.")
    priority: int | None = Field(None, ge=-1000, le=1000)
    reason: Reason = None


class ScheduleChange(Given):
    """The fields to change; null in `when` resets an option to its default."""

    when: When | None = None
    arguments: dict[str, Any] | None = Field(None, description="All of them.")
    queue: str | None = Field(None, max_length=100)
    priority: int | None = Field(None, ge=-1000, le=1000)
    reason: Reason = None


class SchedulePause(Because):
    pass


class ScheduleRun(Because):
    scheduled_for: Moment | None = Field(None, description="The moment of its slot; default: now.")


class Backfill(Because):
    """Makes the runs of slots that have no run."""

    since: Moment = Field(examples=["2026-11-01T00:00:00Z"])
    until: Moment = Field(examples=["2026-11-07T00:00:00Z"])
    dry_run: bool = Field(False, description="Only show the slots.")
    expect: int | None = Field(None, ge=0, description="Refuse unless exactly this many slots have no run.")


class Backfilled(Shape):
    slots: list[datetime] = Field(description="The first hundred.")
    count: int
    made: int = Field(description="Number of new runs; 0 for a dry run.")


class Schedule(Shape):
    name: str
    state: str = Field(description="`active`, `paused`, `ended` or `broken`.")
    owner: str = Field(description="`code`, or `operator`.")
    kind: str
    queue: str
    priority: int
    arguments: Any
    definition: Any = Field(description="In the format of `when`.")
    when: str = Field(description="In words.", examples=["At 09:00 every day (Europe/Paris)"])
    place: str | None = Field(description="Place of its declaration in the code.")
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
    """The outcome of a slot. `older_missed` is the number of older missed slots without a row of their own."""

    slot_at: datetime
    state: str = Field(examples=["fired"])
    why: str
    run_id: UUID | None
    decided_at: datetime
    older_missed: int


class Planned(Shape):
    slot: datetime
    local: datetime = Field(description="In the schedule's time zone.")
    run_at: datetime
    note: str = Field(description="Note on a clock change.")
