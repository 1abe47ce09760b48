"""Sync: writes the schedules that the code declares into the ledger. An operator's schedule is never overwritten."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobs.app import App
from jobs.client.declared_schedules import Declared
from jobs.database.sql import Executor
from jobs.enqueue.enqueuer import enqueuer
from jobs.ledger.moment import ledger_moment
from jobs.ledger.schedules import schedules
from jobs.ledger.schedules.fire import Round, decide_before_change
from jobs.ledger.schedules.leader import limit_idle
from jobs.operations.schedules.rows import columns_of
from jobs.scheduling.serialize import describe
from jobs.scheduling.slots import next_slot
from scheduler.periodic import announce
from scheduler.zone_data import compute_anew

MAX_OF_CODE = 100_000
"""The most code-owned schedules that are checked for retirement. Source: decision; far more than code declares."""

log = logging.getLogger("jobs.scheduler")


@dataclass(slots=True)
class Synced:
    """The names of the schedules that were added, changed and retired; those in ``left`` belong to an operator.

    ``over`` names those of the added and changed whose last slot is in the past: they never fire.
    """

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    over: list[str] = field(default_factory=list)


def sync(app: App, declared: Sequence[Declared]) -> Synced:
    """Write ``declared`` as the code-owned schedules of the ledger, each in a transaction of its own.

    Future slots that were computed with other zone data are recomputed, also those of operators' schedules.

    A schedule that its module no longer declares is retired if this process has imported that module. Schedules of
    other modules belong to another application.
    """
    done = Synced()
    for one in declared:
        values = columns_of(one.job, one.schedule, one.name, max_bytes=app.settings.max_argument_bytes)
        values |= {"owner": "code", "module": one.module, "place": one.place}
        with app.database.write() as connection:
            limit_idle(connection)
            decided = _sync_one(connection, one, values, done)
            if decided is not None and decided.wakes_workers:
                app.database.send_notify(connection)
        if decided is not None:
            announce(app, decided)
        if one.name in done.over:
            told = {"schedule": one.name, "place": one.place, "when": describe(one.schedule)}
            log.warning("Schedule makes no run, its last slot is in the past", extra=told)
    _retire(app, {one.name for one in declared}, done)
    compute_anew(app)
    for name in done.left:
        log.warning("Schedule of the code not written, an operator's has its name", extra={"schedule": name})
    if done.added or done.changed or done.retired:
        log.info(
            "Schedules of the code written",
            extra={"added": done.added, "changed": done.changed, "retired": done.retired},
        )
    return done


def _sync_one(connection: Executor, one: Declared, values: dict[str, Any], done: Synced) -> Round | None:
    moment = ledger_moment(connection)
    first = next_slot(one.schedule, moment)
    if schedules.add(connection, values, next_slot_at=first, now=moment):
        done.added.append(one.name)
        _list_if_over(one, first, done)
        return None
    record = schedules.lock(connection, one.name)
    if record.owner != "code":
        done.left.append(one.name)
        return None
    if record.problem is None and all(getattr(record, name) == value for name, value in values.items()):
        return None
    done.changed.append(one.name)
    # Read the clock after locking the row: another scheduler may have decided slots meanwhile.
    moment = ledger_moment(connection)
    decided, after = None, record.decided_until
    if record.definition != values["definition"] and record.problem is None:
        # The new definition has slots from now on; earlier slots belong to the old one.
        decided, after = decide_before_change(connection, record, moment, by=enqueuer()), max(moment, after)
    coming = next_slot(one.schedule, after)
    if record.definition != values["definition"]:
        _list_if_over(one, coming, done)
    values |= {"decided_until": after, "next_slot_at": coming, "problem": None}
    schedules.change(connection, one.name, values, now=moment)
    return decided


def _list_if_over(one: Declared, coming: datetime | None, done: Synced) -> None:
    if coming is None:
        done.over.append(one.name)


def _retire(app: App, names: set[str], done: Synced) -> None:
    with app.database.write() as connection:
        gone = [
            one.name
            for one in schedules.list_schedules(connection, owner="code", limit=MAX_OF_CODE)
            if one.name not in names and one.module in sys.modules
        ]
        schedules.drop(connection, gone)
    done.retired += gone
