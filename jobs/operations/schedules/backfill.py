"""Backfill: makes the runs of slots that made none. Each batch is audited in its own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from jobs.app import App
from jobs.enqueue.write_path import announce_runs, carrier
from jobs.errors import Conflict
from jobs.ledger.admission.insert import insert_runs
from jobs.ledger.schedules import schedules
from jobs.ledger.schedules.fire import new_run
from jobs.ledger.schedules.slots import NewSlot, fired_among, overwrite_unfired
from jobs.operations.audit.entry import record_entry
from jobs.operations.audit.operator import Operator, Permission
from jobs.scheduling.misfires import SlotState
from jobs.scheduling.slots import just_before, slots

MAX_BACKFILL = 10_000
"""Most slots of one backfill. Source: decision; do more in parts, so that each can be watched."""
BATCH = 500


def plan_backfill(app: App, operator: Operator, name: str, *, since: datetime, until: datetime) -> list[datetime]:
    """The slots of ``since <= slot <= until`` that made no run, up to the last decided one.

    Raises:
        NotFound: there is none of this name.
        Conflict: there are more than ``MAX_BACKFILL``.
    """
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        record = schedules.find_schedule(connection, name)
        last = min(until, record.decided_until)
        found = slots(record.schedule, after=just_before(since), until=last, limit=MAX_BACKFILL + 1)
        if len(found) > MAX_BACKFILL:
            raise Conflict(
                f"There are more than {MAX_BACKFILL:,} slots of {name!r} from {since.isoformat()}.",
                hint="Backfill a shorter span.",
            )
        fired: set[datetime] = set()
        for start in range(0, len(found), BATCH):
            fired |= fired_among(connection, name, found[start : start + BATCH])
    return [one for one in found if one not in fired]


def backfill(
    app: App,
    name: str,
    *,
    since: datetime,
    until: datetime,
    by: Operator,
    reason: str | None = None,
    expect: int | None = None,
    dry_run: bool = False,
) -> tuple[list[datetime], int]:
    """Make the runs of the slots of this span without runs; returns the slots, and how many runs were made.

    Raises:
        NotFound: there is no schedule of this name.
        Conflict: there are more than ``MAX_BACKFILL``, or not as many as expected; nothing was done.
    """
    by.need(Permission.SCHEDULES_WRITE)
    moments = plan_backfill(app, Operator(by.name), name, since=since, until=until)
    if expect is not None and expect != len(moments):
        raise Conflict(f"{len(moments):,} slots are without a run, and {expect:,} were expected; nothing was done.")
    made = 0 if dry_run else backfill_schedule(app, name, moments, by=by, reason=reason)
    return moments, made


def backfill_schedule(
    app: App, name: str, moments: Sequence[datetime], *, by: Operator, reason: str | None = None
) -> int:
    """Make the runs of these slots, due now; returns how many. Skips slots that have a run by now.

    Each batch is a transaction, so an interrupted call may be repeated.
    """
    by.need(Permission.SCHEDULES_WRITE)
    made = 0
    for start in range(0, len(moments), BATCH):
        with app.database.write() as connection:
            record = schedules.lock(connection, name)
            runs = {one: new_run(record, one, by=by.name[:200]) for one in moments[start : start + BATCH]}
            why = f"backfilled by {by.name}"[:200]
            new = [
                NewSlot(schedule=name, slot_at=one, state=SlotState.BACKFILLED, why=why, run_id=run.id)
                for one, run in runs.items()
            ]
            written = overwrite_unfired(connection, new)
            fresh = [run for one, run in runs.items() if (name, one) in written]
            if fresh:
                insert_runs(connection, carrier(app)(fresh), notify=app.database.sends_notify)
            span = {"from": moments[start].isoformat(), "to": moments[start : start + BATCH][-1].isoformat()}
            record_entry(connection, "schedules.backfill", by, target=name, reason=reason, after=span, count=len(fresh))
        announce_runs(app, fresh)
        made += len(fresh)
    return made
