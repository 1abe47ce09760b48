"""Operators' actions on schedules. Each change is audited in its own transaction.

A schedule declared in code can only be changed there. Operators may pause, run and backfill every schedule.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.enqueue.enqueuer import enqueuer
from jobs.enqueue.write_path import announce_runs, carrier
from jobs.errors import Conflict, DefinitionError
from jobs.formats.naming import MAX_NAME, WANTED, is_name
from jobs.ledger.admission.insert import insert_runs
from jobs.ledger.moment import ledger_moment
from jobs.ledger.schedules import schedules
from jobs.ledger.schedules.fire import Round, decide_before_change, new_run
from jobs.ledger.schedules.schedules import ScheduleRecord
from jobs.ledger.schedules.slots import NewSlot, record_slots
from jobs.operations.audit.entry import record_entry
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.schedules.views import ScheduleView, views
from jobs.scheduling.misfires import SlotState
from jobs.scheduling.schedule import Schedule
from jobs.scheduling.serialize import from_data, to_data, write_data
from jobs.scheduling.slots import next_slot

_TIMING = ("type", "expression", "timezone", "interval_seconds", "anchor", "moment")


def create_schedule(
    app: App, columns: Mapping[str, Any], schedule: Schedule, *, by: Operator, reason: str | None = None
) -> ScheduleView:
    """Add an operator's schedule; ``columns`` are those of ``jobs.operations.schedules.rows``.

    Raises:
        Conflict: the name is taken.
        DefinitionError: it would never have a slot.
    """
    by.need(Permission.SCHEDULES_WRITE)
    name = str(columns["name"])
    if not is_name(name):
        raise DefinitionError(f"A schedule's name is 1 to {MAX_NAME} {WANTED}, got {name!r}.")
    with app.database.write() as connection:
        moment = ledger_moment(connection)
        first = _first(schedule, moment)
        if not schedules.add(connection, {**columns, "owner": "operator"}, next_slot_at=first, now=moment):
            raise Conflict(f"There is a schedule {name!r} already.", hint=f"Change it: jobs schedules edit {name}.")
        record_entry(connection, "schedules.create", by, target=name, reason=reason, after=dict(columns))
        (view,) = views(connection, [schedules.find_schedule(connection, name)])
    return view


def edit_schedule(
    app: App,
    name: str,
    changes: Mapping[str, Any],
    *,
    columns: Mapping[str, Any] | None = None,
    by: Operator,
    reason: str | None = None,
) -> ScheduleView:
    """Change an operator's schedule. The old definition decides slots due by now; the new one counts from now.

    Args:
        changes: keys of ``jobs.scheduling.serialize``; None resets an option to its default.
        columns: other changes of the row: queue, priority, arguments.

    Raises:
        NotFound: there is none of this name.
        Conflict: the code declares it.
        DefinitionError: the result would be invalid, or never have a slot.
    """
    by.need(Permission.SCHEDULES_WRITE)
    with app.database.write() as connection:
        record = schedules.lock(connection, name)
        _refuse_code(record, "edited")
        moment = ledger_moment(connection)
        schedule = _changed(record, changes)
        first = _first(schedule, max(moment, record.decided_until))
        decided = decide_before_change(connection, record, moment, by=enqueuer())
        if decided.wakes_workers:
            app.database.send_notify(connection)
        values = {
            **(columns or {}),
            "definition": write_data(schedule),
            "decided_until": max(moment, record.decided_until),
            "next_slot_at": first,
            "problem": None,
        }
        schedules.change(connection, name, values, now=moment)
        before = {"definition": record.definition}
        record_entry(connection, "schedules.edit", by, target=name, reason=reason, before=before, after=dict(changes))
        (view,) = views(connection, [schedules.find_schedule(connection, name)])
    announce_runs(app, decided.runs, freed=decided.freed)
    return view


def delete_schedule(app: App, name: str, *, by: Operator, reason: str | None = None, is_forced: bool = False) -> None:
    """Remove a schedule; the results of its slots stay on record. ``is_forced``: even if the code declares it.

    Raises:
        NotFound: there is none of this name.
        Conflict: the code declares it.
    """
    by.need(Permission.SCHEDULES_WRITE)
    with app.database.write() as connection:
        record = schedules.lock(connection, name)
        if not is_forced:
            _refuse_code(record, "deleted")
        if record.held_slot_at is not None:
            gone = NewSlot(
                schedule=name, slot_at=record.held_slot_at, state=SlotState.SKIPPED, why="the schedule was deleted"
            )
            record_slots(connection, [gone])
        schedules.drop(connection, [name])
        before = {"definition": record.definition, "kind": record.kind}
        record_entry(connection, "schedules.delete", by, target=name, reason=reason, before=before)


def pause_schedule(app: App, name: str, *, by: Operator, reason: str | None = None) -> bool:
    """Make no runs until it is resumed; False if it was paused already. Existing runs go on."""
    by.need(Permission.SCHEDULES_WRITE)
    with app.database.write() as connection:
        record = schedules.lock(connection, name)
        if record.paused_at is not None:
            return False
        moment = ledger_moment(connection)
        values = {"paused_at": moment, "paused_by": by.name[:200], "pause_reason": reason[:500] if reason else None}
        schedules.change(connection, name, values, now=moment)
        record_entry(connection, "schedules.pause", by, target=name, reason=reason)
    return True


def resume_schedule(app: App, name: str, *, by: Operator, reason: str | None = None, catches_up: bool = False) -> bool:
    """Make runs again; False if it was not paused.

    Slots of the pause are skipped, or with ``catches_up`` handled by its catch-up policy as after a downtime.
    """
    by.need(Permission.SCHEDULES_WRITE)
    done: Round | None = None
    with app.database.write() as connection:
        record = schedules.lock(connection, name)
        if record.paused_at is None:
            return False
        moment = ledger_moment(connection)
        after = record.decided_until
        if not catches_up and not record.problem:
            done = decide_before_change(connection, record, moment, by=enqueuer())
            after = max(moment, after)
            if done.wakes_workers:
                app.database.send_notify(connection)
        values: dict[str, Any] = {"paused_at": None, "paused_by": None, "pause_reason": None, "decided_until": after}
        if not record.problem:
            values["next_slot_at"] = next_slot(record.schedule, after)
        schedules.change(connection, name, values, now=moment)
        record_entry(connection, "schedules.resume", by, target=name, reason=reason, after={"catches_up": catches_up})
    if done is not None:
        announce_runs(app, done.runs, freed=done.freed)
    return True


def run_schedule(
    app: App, name: str, *, by: Operator, moment: datetime | None = None, reason: str | None = None
) -> UUID:
    """Make a run now, in addition to the schedule's slots; paused or not, whatever its overlap policy.

    Args:
        moment: its ``scheduled_for``; None is the ledger's moment.
    """
    by.need(Permission.SCHEDULES_WRITE)
    with app.database.write(urgent=True) as connection:
        record = schedules.find_schedule(connection, name)
        run = new_run(record, moment or ledger_moment(connection), by=by.name[:200])
        insert_runs(connection, carrier(app)([run]), notify=app.database.sends_notify)
        record_entry(connection, "schedules.run", by, target=name, reason=reason, after={"run_id": str(run.id)})
    announce_runs(app, [run])
    return run.id


def _changed(record: ScheduleRecord, changes: Mapping[str, Any]) -> Schedule:
    data = to_data(record.schedule) if record.problem is None else {"name": record.name}
    if changes.get("type") not in (None, data.get("type")):
        # Another type: its timing fields do not carry over, the policies do.
        data |= dict.fromkeys(_TIMING)
    return from_data({**data, **changes})


def _first(schedule: Schedule, after: datetime) -> datetime:
    first = next_slot(schedule, after)
    if first is None:
        raise DefinitionError("This schedule would never fire: its last slot is over.", hint="Look at --end and --at.")
    return first


def _refuse_code(record: ScheduleRecord, done: str) -> None:
    if record.owner == "code":
        raise Conflict(
            f"The schedule {record.name!r} is declared in the code at {record.place} and cannot be {done} here.",
            hint="Change it there, or pause it here.",
        )
