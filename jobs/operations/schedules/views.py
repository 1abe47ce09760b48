"""Views of schedules: by name, one with its past and coming slots, and previews."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobs.app import App
from jobs.database.sql import Executor
from jobs.definition.redaction import HIDDEN
from jobs.errors import DefinitionError
from jobs.ledger.moment import ledger_moment
from jobs.ledger.schedules import schedules
from jobs.ledger.schedules.schedules import Owner, ScheduleRecord
from jobs.ledger.schedules.slots import SlotRecord, list_slots
from jobs.operations.audit.operator import Operator, Permission
from jobs.scheduling.preview import PlannedSlot, preview
from jobs.scheduling.serialize import describe
from jobs.scheduling.slots import just_before
from jobs.scheduling.zones import data_version


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleView:
    """A schedule for display. ``late_seconds`` is how long its earliest undecided slot has waited."""

    record: ScheduleRecord
    when: str
    last_success_at: datetime | None
    late_seconds: float


def list_schedules(
    app: App,
    operator: Operator,
    *,
    kind: str | None = None,
    owner: Owner | None = None,
    state: str | None = None,
    after: str | None = None,
    limit: int = 1000,
) -> list[ScheduleView]:
    """Schedules by name; ``after`` is the last name of the previous page."""
    operator.need(Permission.RUNS_READ)
    found: list[ScheduleRecord] = []
    with app.database.read() as connection:
        while True:
            page = schedules.list_schedules(connection, kind=kind, owner=owner, after=after, limit=limit)
            found += [one for one in page if state in (None, one.state)]
            if len(page) < limit or len(found) >= limit:
                return views(connection, [_shown(one, operator) for one in found[:limit]])
            after = page[-1].name


def show_schedule(
    app: App, operator: Operator, name: str, *, limit: int = 20
) -> tuple[ScheduleView, list[SlotRecord], list[PlannedSlot]]:
    """A schedule, the results of its latest slots, and its next slots.

    Raises:
        NotFound: there is none of this name.
    """
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        record = schedules.find_schedule(connection, name)
        past = list_slots(connection, name, limit=limit)
        (view,) = views(connection, [_shown(record, operator)])
    coming = [] if record.problem or record.paused_at else _coming(record, limit=5)
    return view, past, coming


def slots_of(
    app: App, operator: Operator, name: str, *, before: datetime | None = None, limit: int = 50
) -> list[SlotRecord]:
    """The results of a schedule's slots, newest first; ``before`` is the last moment of the previous page.

    Raises:
        NotFound: there is none of this name.
    """
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        schedules.find_schedule(connection, name)
        return list_slots(connection, name, before=before, limit=limit)


def preview_schedule(
    app: App, operator: Operator, name: str, *, since: datetime | None, until: datetime, limit: int
) -> list[PlannedSlot]:
    """When the schedule would fire in ``since <= slot <= until``; None starts now."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        record = schedules.find_schedule(connection, name)
        after = just_before(since) if since is not None else ledger_moment(connection)
    return preview(record.schedule, after=after, until=until, limit=limit, name=name)


def views(connection: Executor, records: Sequence[ScheduleRecord]) -> list[ScheduleView]:
    """The views of ``records``, in their order, in the caller's transaction."""
    records = [_by_our_zones(one) for one in records]
    moment = ledger_moment(connection)
    successes = schedules.last_successes(connection, [one.name for one in records])
    return [
        ScheduleView(
            record=one,
            when=_when(one),
            last_success_at=successes.get(one.name),
            late_seconds=_late_seconds(one, moment),
        )
        for one in records
    ]


def _by_our_zones(record: ScheduleRecord) -> ScheduleRecord:
    """With the next slot by this process's zone data, as ``preview`` has it and as a scheduler will write it."""
    if record.zone_data == data_version() or record.problem:
        return record
    try:
        return replace(record, next_slot_at=schedules.next_slot_of(record))
    except DefinitionError:
        return record


def _shown(record: ScheduleRecord, operator: Operator) -> ScheduleRecord:
    if operator.may(Permission.ARGUMENTS_READ):
        return record
    return replace(record, arguments=json.dumps(HIDDEN))


def _late_seconds(record: ScheduleRecord, moment: datetime) -> float:
    if record.paused_at is not None or record.next_slot_at is None:
        return 0.0
    return max(0.0, (moment - record.next_slot_at).total_seconds())


def _when(record: ScheduleRecord) -> str:
    try:
        return describe(record.schedule)
    except DefinitionError as error:
        return str(error)


def _coming(record: ScheduleRecord, *, limit: int) -> list[PlannedSlot]:
    after = record.decided_until
    return preview(record.schedule, after=after, until=after + timedelta(days=3660), limit=limit, name=record.name)
