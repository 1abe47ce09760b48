"""The write path: inserts rows, then, after the commit, publishes them to the ready index and emits events."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from jobs.app import App
from jobs.database.transactions.coroutines import call_in
from jobs.database.transactions.joining import begin_writing, joined
from jobs.definition.fairness import fair_kinds
from jobs.enqueue.publish import announce, entries_of
from jobs.enqueue.room import ASK_CLASS, Full, inside, make_room, make_room_async, may_be_limited
from jobs.enqueue.unserved_warning import warn_if_unserved
from jobs.errors import LedgerRefused
from jobs.events import RunEnqueued
from jobs.ledger.admission.insert import insert_free, insert_if_free, insert_plain, insert_runs
from jobs.ledger.admission.kept_keys import insert_and_keep
from jobs.ledger.admission.key_waits import key_waits, limit_wait, set_wait
from jobs.ledger.admission.keys import admit
from jobs.ledger.admission.with_followups import insert_with_followups
from jobs.ledger.batches.parents import add_parents
from jobs.ledger.blobs.references import hold
from jobs.ledger.records import Admitted, Freed, NewRun
from jobs.ledger.runs.end_effects import apply_end_effects
from jobs.ready.protocol import ReadyEntry
from jobs.runtime.context import current_run, enclosing_session, session_to_join
from jobs.runtime.off_loop import off_loop

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from jobs.database.sql import Executor
    from jobs.database.transactions.joining import SessionLike

log = logging.getLogger("jobs.enqueue")

CHUNK = 500
"""Runs inserted by one statement. Source: measured; larger chunks gain nothing."""


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The result of enqueueing: the run's id, and whether this call created it or it existed already.

    ``is_dropped``: its queue or kind was full, and ``on_full`` is ``drop``; no run has this id.
    """

    id: UUID
    created: bool = True
    is_dropped: bool = False


def enqueue_runs(
    app: App, runs: Sequence[NewRun], *, session: SessionLike | None = None, full: Full = ASK_CLASS
) -> list[Enqueued]:
    """Insert ``runs``; with ``session`` they exist when, and only when, its owner commits.

    Without ``session``, runs belong to the transaction of the ``jobs.transaction()`` block around, or of the job's open
    ``transaction()`` or ``advance()``.

    Raises:
        ServiceDown: the ledger does not answer; nothing was enqueued.
        KeyConflict: a run with other arguments holds a key; nothing was enqueued.
        KeyBusy: another transaction enqueues with the same key and does not end in time.
        EnqueueRefused: ``session`` is invalid.
        QueueFull: a queue or kind is full; nothing was enqueued.
    """
    if not runs:
        return []
    runs = carrier(app)(runs)
    session = session_to_join(app, session)
    if may_be_limited(app):
        return _enqueue_limited(app, runs, session, full)
    return _enqueue(app, runs, session)


def _enqueue_limited(app: App, runs: Sequence[NewRun], session: SessionLike | None, full: Full) -> list[Enqueued]:
    if session is None:
        has_room = make_room(app, runs, full)
    else:
        with joined(session, app.database) as transaction:
            has_room = make_room(app, runs, full.without_waiting(), inside(transaction.connection))
    if all(has_room):
        return _enqueue(app, runs, session)
    kept = [run for run, fits in zip(runs, has_room, strict=True) if fits]
    made = iter(_enqueue(app, kept, session) if kept else [])
    return [
        next(made) if fits else Enqueued(run.id, created=False, is_dropped=True)
        for run, fits in zip(runs, has_room, strict=True)
    ]


def _enqueue(app: App, runs: Sequence[NewRun], session: SessionLike | None) -> list[Enqueued]:
    if session is None:
        if len(runs) == 1 and is_plain(runs[0]):
            app.enqueue_group.enqueue(runs[0], partial(_write_plain, app))
            admitted = [Admitted(runs[0], created=True)]
        elif len(runs) == 1 and _write_if_free(app, runs[0]):
            admitted = [Admitted(runs[0], created=True)]
        else:
            admitted = _write_own(app, runs)
    else:
        admitted = _insert_in(app, session, runs)
    warn_if_unserved(app, (run.queue for run in runs))
    return [Enqueued(one.run.id, one.created) for one in admitted]


async def enqueue_run_async(app: App, run: NewRun, *, full: Full = ASK_CLASS) -> Enqueued:
    """``enqueue_runs`` for one run of a coroutine, without a session. Raises the same errors."""
    if (session := enclosing_session()) is not None:
        return (await call_in(session, lambda plain: enqueue_runs(app, [run], session=plain, full=full)))[0]
    performing = current_run.get()
    in_block = performing is not None and performing.app is app and performing.open_session is not None
    if in_block:
        return (await off_loop(enqueue_runs, app, [run], full=full))[0]
    if may_be_limited(app) and not (await make_room_async(app, [run], full))[0]:
        return Enqueued(run.id, created=False, is_dropped=True)
    if not is_plain(run):
        return (await off_loop(_enqueue, app, carrier(app)([run]), None))[0]
    (run,) = carrier(app)([run])
    await app.enqueue_group.enqueue_async(run, partial(_write_plain, app))
    warn_if_unserved(app, [run.queue])
    return Enqueued(run.id)


def is_plain(run: NewRun) -> bool:
    """Whether one insert is enough for the run."""
    return (
        run.key is None
        and not run.followups
        and run.batch_id is None
        and not run.after
        and not run.blobs
        and run.kind not in fair_kinds
    )


def _write_plain(app: App, runs: Sequence[NewRun], may_exist: bool) -> None:
    """Insert plain runs by one statement that commits by itself."""
    if may_exist:
        with app.database.write() as connection:
            insert_free(connection, runs)
            app.database.send_notify(connection)
    else:
        with app.database.inserts.opened(urgent=len(runs) == 1) as connection:
            insert_plain(connection, runs, notify=app.database.sends_notify)
    announce_runs(app, runs)


def _write_if_free(app: App, run: NewRun) -> bool:
    """Insert a run whose key is free, by one statement that commits by itself. Returns whether it did."""
    if run.after or run.batch_id is not None or run.blobs or run.kind in fair_kinds:
        return False
    if any(one.run.blobs for one in run.followups):
        return False
    is_kept = run.key is not None and run.hold_seconds != 0.0
    if is_kept and run.followups:
        return False
    if (is_kept or run.followups) and app.database.dialect == "sqlite":
        return False
    insert_one = insert_with_followups if run.followups else insert_and_keep if is_kept else insert_if_free
    try:
        with app.database.inserts.opened(urgent=True) as connection, key_waits():
            is_inserted = insert_one(connection, run, notify=app.database.sends_notify)
    except LedgerRefused:
        if not is_kept:
            raise
        return False  # A live run may hold the key in the other way, which the careful way finds out.
    if is_inserted:
        announce_runs(app, [run])
    return is_inserted


def _write_own(app: App, runs: Sequence[NewRun]) -> list[Admitted]:
    with app.database.write(urgent=len(runs) == 1) as connection:
        admitted = write_runs(connection, runs)
        app.database.send_notify(connection)
    announce_runs(app, [one.run for one in admitted])
    return admitted


@contextmanager
def writing_in(app: App, session: SessionLike | None) -> Iterator[Connection]:
    """A connection in the transaction of ``session``, or of the ``jobs.transaction()`` block around, or of its own.

    Raises:
        EnqueueRefused: ``session`` is invalid.
        ServiceDown: the ledger does not answer.
    """
    session = enclosing_session() if session is None else session
    if session is None:
        with app.database.write(urgent=True) as connection:
            yield connection
    else:
        with joined(session, app.database) as transaction:
            yield transaction.connection


def carrier(app: App) -> Callable[[Sequence[NewRun]], Sequence[NewRun]]:
    """The function that adds trace context to runs; without tracing it changes nothing and imports nothing."""
    if not app.settings.tracing:
        return lambda runs: runs
    from jobs.observe.trace import carry

    return carry


def _chunks(runs: Sequence[NewRun]) -> Iterator[Sequence[NewRun]]:
    for start in range(0, len(runs), CHUNK):
        yield runs[start : start + CHUNK]


def write_runs(executor: Executor, runs: Sequence[NewRun]) -> list[Admitted]:
    """Insert plain runs directly; those with a key or follow-ups only if their key is free."""
    careful = [run for run in runs if not is_plain(run)]
    # First of all: if a value is gone, nothing was written.
    hold(executor, careful)
    plain = [run for run in runs if is_plain(run)] if careful else runs
    for chunk in _chunks(plain):
        insert_runs(executor, chunk)
    if not careful:
        return [Admitted(run, created=True) for run in runs]
    # Always in the order of keys, so that two callers with the same keys cannot deadlock.
    dependent = [run for run in careful if run.after]
    found: dict[UUID, Admitted] = {}
    groups = sorted(careful, key=lambda run: (run.kind, run.key or ""))
    for chunk in _whole_keys(groups):
        found |= {run.id: one for run, one in zip(chunk, admit(executor, chunk), strict=True)}
    if dependent:
        cancelled = add_parents(executor, [run for run in dependent if found[run.id].created])
        apply_end_effects(executor, cancelled)
    return [found.get(run.id) or Admitted(run, created=True) for run in runs]


def _whole_keys(runs: Sequence[NewRun]) -> Iterator[Sequence[NewRun]]:
    """``runs``, sorted by key, in chunks; runs with the same key stay together."""
    chunk: list[NewRun] = []
    for run in runs:
        if len(chunk) >= CHUNK and (run.key is None or run.key != chunk[-1].key or run.kind != chunk[-1].kind):
            yield chunk
            chunk = []
        chunk.append(run)
    yield chunk


def _insert_in(app: App, session: SessionLike, runs: Sequence[NewRun]) -> list[Admitted]:
    with joined(session, app.database) as transaction:
        connection = transaction.connection
        is_keyed = any(run.key is not None for run in runs)
        if all(map(is_plain, runs)) and len(runs) <= CHUNK:
            insert_runs(connection, runs, notify=app.database.sends_notify)
            admitted = [Admitted(run, created=True) for run in runs]
        else:
            admitted = _admit_in(app, connection, runs) if is_keyed else write_runs(connection, runs)
            app.database.send_notify(connection)
        transaction.after_commit([one.run for one in admitted], partial(announce_runs, app))
    return admitted


def _admit_in(app: App, connection: Connection, runs: Sequence[NewRun]) -> list[Admitted]:
    """In a SAVEPOINT, so that a held key, or a wait without success, leaves the caller's transaction usable."""
    begin_writing(connection)
    with connection.begin_nested():
        before = limit_wait(connection, app.settings.lock_timeout.total_seconds())
        admitted = write_runs(connection, runs)
        set_wait(connection, before)
    return admitted


def announce_runs(app: App, runs: Sequence[NewRun], *, freed: Sequence[Freed] = ()) -> None:
    """Publish to the ready index and emit events. The rows are committed, so no error here may reach the caller.

    Args:
        freed: earlier runs that became ready in the same transaction.
    """
    if app.ready is not None:
        now = app.clock.now()
        # A run that starts after others is published when the last of them ends.
        entries = [ReadyEntry(run.id, run.queue, run.priority, _run_at(run, now)) for run in runs if not run.after]
        announce(app, entries + entries_of(freed), now=now)
    if app.events.has_subscriber(RunEnqueued):
        app.events.emit([RunEnqueued(run.id, run.kind, run.queue) for run in runs])


def _run_at(run: NewRun, now: datetime) -> datetime | None:
    if run.run_at is not None:
        return run.run_at
    return now + timedelta(seconds=run.delay_seconds) if run.delay_seconds else None
