"""Fire: turns due slots into rows and runs, in the caller's transaction: both or neither.

A tick takes a batch of due schedules and locks them. A slot that has a row already makes no run, so that two
schedulers, a frozen one that wakes, or a schedule made again cannot fire it twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Uuid, bindparam, case, func, update

from jobs.clock import new_run_id
from jobs.database.models import JobSchedule, UtcDateTime
from jobs.database.sql import Executor, RowBatch, dialect_of, ledger_now
from jobs.ledger.admission.insert import insert_runs
from jobs.ledger.moment import ledger_moment
from jobs.ledger.records import Freed, NewRun
from jobs.ledger.schedules.broken_schedules import set_aside_schedules
from jobs.ledger.schedules.schedules import ScheduleRecord, lock_due, lock_released
from jobs.ledger.schedules.slot_plan import KEEP, SlotPlan, plan_slots
from jobs.ledger.schedules.slots import NewSlot, cancel_live, live_runs, record_slots
from jobs.scheduling.misfires import SlotState
from jobs.scheduling.slots import backlog, jittered
from jobs.scheduling.zones import data_version

BATCH = 200
"""Schedules decided in one transaction. Source: as for enqueued runs, larger ones gain nothing."""
INSERT = 500
PAUSED = "the schedule was paused"

_MOVED = RowBatch(
    "moved",
    schedule=Text(),
    decided_until=UtcDateTime(),
    next_slot_at=UtcDateTime(),
    held_slot_at=UtcDateTime(),
    last_slot_at=UtcDateTime(),
    last_run_id=Uuid(),
    problem=Text(),
)


@dataclass(frozen=True, slots=True)
class Decided:
    """The result of a slot, with the run that it made."""

    slot: NewSlot
    kind: str
    run: NewRun | None
    lateness_seconds: float


@dataclass(frozen=True, slots=True)
class Round:
    """The results of one transaction: the schedules it read, its decisions, and the schedules it could not read.

    ``freed`` are runs of others that became ready, because it cancelled runs that they waited for.
    """

    looked_at: int
    decided: list[Decided]
    broken: dict[str, str]
    freed: list[Freed] = field(default_factory=list)

    @property
    def runs(self) -> list[NewRun]:
        """The runs that it made."""
        return [one.run for one in self.decided if one.run is not None]

    @property
    def wakes_workers(self) -> bool:
        """Whether runs are ready, or become so at a moment."""
        return bool(self.runs or self.freed)


Carry = Callable[[Sequence[NewRun]], Sequence[NewRun]]


def _as_they_are(runs: Sequence[NewRun]) -> Sequence[NewRun]:
    return runs


def fire_due(
    session: Executor, *, by: str, limit: int = BATCH, carry: Carry = _as_they_are, now: datetime | None = None
) -> Round:
    """Decide the due slots of up to ``limit`` schedules. Call again until it has read none.

    Args:
        by: the scheduler, for the runs' ``enqueued_by``.
        carry: adds trace context to the runs.
    """
    return _decide(session, lock_due(session, limit=limit, now=now), by=by, carry=carry, now=now)


def fire_released(
    session: Executor, *, by: str, limit: int = BATCH, carry: Carry = _as_they_are, now: datetime | None = None
) -> Round:
    """Fire held slots whose earlier run has ended."""
    return _decide(session, lock_released(session, limit=limit, now=now), by=by, carry=carry, now=now)


def decide_until(
    session: Executor, record: ScheduleRecord, until: datetime, *, by: str, now: datetime | None = None
) -> Round:
    """Decide the slots of one locked schedule up to ``until``, by its present definition."""
    return _decide(session, [record], by=by, until=until, now=now)


def pass_over(
    session: Executor,
    record: ScheduleRecord,
    *,
    after: datetime,
    until: datetime,
    why: str,
    now: datetime | None = None,
) -> int:
    """Record the slots of a span as skipped; returns their number."""
    if after >= until:
        return 0
    due = backlog(record.schedule, after=after, until=until, keep=KEEP)
    new = [
        NewSlot(
            schedule=record.name,
            slot_at=slot,
            state=SlotState.SKIPPED,
            why=why,
            older_missed=due.cut if place == 0 else 0,
        )
        for place, slot in enumerate(due.slots)
    ]
    record_slots(session, new, now=now)
    return len(new) + due.cut


def decide_before_change(
    session: Executor, record: ScheduleRecord, moment: datetime, *, by: str, now: datetime | None = None
) -> Round:
    """Decide every slot of a locked schedule up to ``moment``, the ledger's, before its definition or pause changes.

    Slots due before a pause are decided as usual; slots due during it are skipped.
    """
    if record.paused_at is None:
        return decide_until(session, record, moment, by=by, now=now)
    done = decide_until(session, record, min(record.paused_at, moment), by=by, now=now)
    pass_over(session, record, after=max(record.paused_at, record.decided_until), until=moment, why=PAUSED, now=now)
    return done


def new_run(record: ScheduleRecord, slot: datetime, *, by: str, run_at: datetime | None = None) -> NewRun:
    """A run that this schedule makes for ``slot``; due at once, unless ``run_at`` is later."""
    return NewRun(
        id=new_run_id(),
        kind=record.kind,
        queue=record.queue,
        priority=record.priority,
        arguments=record.arguments,
        arguments_version=record.arguments_version,
        max_attempts=record.max_attempts,
        run_at=run_at,
        enqueued_by=by,
        schedule=record.name,
        scheduled_for=slot,
    )


def _decide(
    session: Executor,
    records: Sequence[ScheduleRecord],
    *,
    by: str,
    until: datetime | None = None,
    carry: Carry = _as_they_are,
    now: datetime | None = None,
) -> Round:
    if not records:
        return Round(0, [], {})
    # One moment for all of them, read after locking the rows: an earlier one could be before a slot that they decided.
    moment = ledger_moment(session, now=now)
    live = live_runs(session, [one.name for one in records])
    plans = [plan_slots(one, until or moment, moment, live.get(one.name, 0)) for one in records]
    set_aside_schedules(session, {one.record.name: one.problem for one in plans if one.is_unreadable})
    readable = [one for one in plans if not one.is_unreadable]
    decided, freed = _write(session, readable, moment, by=by, carry=carry, now=now)
    if readable:
        _advance(session, readable, decided, now=now)
    return Round(len(records), decided, {one.record.name: one.problem for one in plans if one.problem}, freed)


def _write(
    session: Executor, plans: Sequence[SlotPlan], moment: datetime, *, by: str, carry: Carry, now: datetime | None
) -> tuple[list[Decided], list[Freed]]:
    decided = []
    freed: list[Freed] = []
    for plan in plans:
        record = plan.record
        if any(one.cancels for one in plan.decisions):
            reason = f"overlap=cancel_running of schedule {record.name}"
            freed += cancel_live(session, record.name, reason=reason, now=now)
        for place, decision in enumerate(plan.decisions):
            run = None
            if decision.state is SlotState.FIRED:
                due_at = jittered(record.schedule, decision.slot, name=record.name)
                # A late run is due now: an earlier moment would put it before others, and count as their wait.
                run = new_run(record, decision.slot, by=by, run_at=due_at if due_at > moment else None)
            slot = NewSlot(
                schedule=record.name,
                slot_at=decision.slot,
                state=decision.state,
                why=decision.why,
                run_id=run.id if run else None,
                older_missed=plan.older_missed if place == plan.stands_for_them else 0,
            )
            decided.append(Decided(slot, record.kind, run, (moment - decision.slot).total_seconds()))
    written: set[tuple[str, datetime]] = set()
    for start in range(0, len(decided), INSERT):
        written |= record_slots(session, [one.slot for one in decided[start : start + INSERT]], now=now)
    decided = [one for one in decided if (one.slot.schedule, one.slot.slot_at) in written]
    runs = [one.run for one in decided if one.run is not None]
    for start in range(0, len(runs), INSERT):
        insert_runs(session, carry(runs[start : start + INSERT]), now=now)
    return decided, freed


def _advance(session: Executor, plans: Sequence[SlotPlan], decided: Sequence[Decided], *, now: datetime | None) -> None:
    last: dict[str, tuple[datetime, UUID]] = {}
    for one in decided:
        if one.run is not None:
            last[one.slot.schedule] = max(last.get(one.slot.schedule, (one.slot.slot_at, one.run.id)),
                                          (one.slot.slot_at, one.run.id))  # fmt: skip
    dialect = dialect_of(session)
    rows = [
        (
            plan.record.name,
            plan.decided_until,
            plan.next_slot_at,
            plan.held,
            *last.get(plan.record.name, (None, None)),
            plan.problem,
        )
        for plan in plans
    ]
    session.execute(_advancing(dialect), {**_MOVED.rows(dialect, rows), "zone_data": data_version(), "now": now})


@cache
def _advancing(dialect: str) -> Any:
    moved = _MOVED.table(dialect).c
    return (
        update(JobSchedule)
        .where(JobSchedule.name == moved.schedule)
        .values(
            decided_until=moved.decided_until,
            next_slot_at=moved.next_slot_at,
            zone_data=bindparam("zone_data", type_=Text()),
            held_slot_at=moved.held_slot_at,
            last_slot_at=func.coalesce(moved.last_slot_at, JobSchedule.last_slot_at, type_=UtcDateTime()),
            last_fired_at=case((moved.last_slot_at.is_not(None), ledger_now()), else_=JobSchedule.last_fired_at),
            last_run_id=func.coalesce(moved.last_run_id, JobSchedule.last_run_id, type_=Uuid()),
            problem=moved.problem,
        )
    )
