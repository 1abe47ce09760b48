"""The write path: ledger rows first, then, after their commit, the ready index and the events."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from jobs.app import App
from jobs.database import register_sqlite_functions
from jobs.errors import EnqueueRefused, JobsError
from jobs.events import RunEnqueued, ServiceFailed
from jobs.ledger.insert import insert_runs
from jobs.ledger.records import NewRun
from jobs.ready.protocol import ReadyEntry

log = logging.getLogger("jobs.enqueue")

CHUNK = 500
"""Runs inserted by one statement. Source: measured; larger chunks gain nothing."""
_PENDING = "jobs_pending"


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What enqueue answers: the run's id, and whether it was made now or had been there already."""

    id: UUID
    created: bool = True


def enqueue_runs(app: App, runs: Sequence[NewRun], *, session: Session | None = None) -> list[Enqueued]:
    """Insert ``runs``; in ``session`` they exist when, and only when, its owner commits.

    Raises:
        ServiceDown: the ledger does not answer; nothing was enqueued.
        EnqueueRefused: ``session`` cannot serve.
    """
    if not runs:
        return []
    if session is None:
        with app.database.write(urgent=len(runs) == 1) as connection:
            for chunk in _chunks(runs):
                insert_runs(connection, chunk)
        _announce(app, runs)
    else:
        _insert_in(app, session, runs)
    return [Enqueued(run.id) for run in runs]


@cache
def enqueuer() -> str:
    """Who enqueues, for the record: this host and process."""
    return f"{socket.gethostname()}/{os.getpid()}"[:200]


os.register_at_fork(after_in_child=enqueuer.cache_clear)


def _chunks(runs: Sequence[NewRun]) -> Iterator[Sequence[NewRun]]:
    for start in range(0, len(runs), CHUNK):
        yield runs[start : start + CHUNK]


def _insert_in(app: App, session: Session, runs: Sequence[NewRun]) -> None:
    _refuse_stranger(app, session)
    if app.database.dialect == "sqlite":
        register_sqlite_functions(_driver_connection(session), app.clock)
    try:
        for chunk in _chunks(runs):
            insert_runs(session, chunk)
    except OperationalError as error:
        if "locked" in str(error.orig):
            raise EnqueueRefused(
                "The session's transaction began by reading, and SQLite will not let it write now.",
                hint="Begin it with BEGIN IMMEDIATE: see docs/sqlite.md, or enqueue before you read.",
            ) from error
        raise app.database.translate(error) from error
    _tell_after_commit(app, session, runs)


def _refuse_stranger(app: App, session: Session) -> None:
    """A row in another database would be committed there, and no worker would ever see it."""
    theirs, ours = session.get_bind().engine.url, app.database.url
    is_ours = theirs.get_backend_name() == ours.get_backend_name() and (
        _same_file(theirs.database, ours.database)
        if ours.get_backend_name() == "sqlite"
        else (theirs.database or "") == (ours.database or "")
    )
    if not is_ours:
        raise EnqueueRefused(
            f"The session is on another database ({theirs.render_as_string(hide_password=True)}) "
            f"than the ledger ({app.database.shown}).",
            hint="Point JOBS_DATABASE_URL at the application's own database, or enqueue without session=.",
        )


def _same_file(theirs: str | None, ours: str | None) -> bool:
    return bool(theirs and ours) and os.path.realpath(str(theirs)) == os.path.realpath(str(ours))


def _driver_connection(session: Session) -> Any:
    return session.connection().connection.driver_connection


def _tell_after_commit(app: App, session: Session, runs: Sequence[NewRun]) -> None:
    if _PENDING not in session.info:
        session.info[_PENDING] = []
        event.listen(session, "after_commit", lambda done: _on_commit(app, done))
        event.listen(session, "after_soft_rollback", _on_rollback)
    session.info[_PENDING].extend(runs)


def _on_commit(app: App, session: Session) -> None:
    # This fires for a released SAVEPOINT too; only the outer commit makes rows real.
    if session.in_nested_transaction():
        return
    runs, session.info[_PENDING] = session.info[_PENDING], []
    _announce(app, runs)


def _on_rollback(session: Session, previous: Any) -> None:
    # A SAVEPOINT that is rolled back may leave ids here that are no runs: announcing them does no harm.
    if not previous.nested:
        session.info[_PENDING] = []


def _announce(app: App, runs: Sequence[NewRun]) -> None:
    """Tell the ready index and the subscribers. The rows are committed: nothing here may fail the caller."""
    if app.ready is not None:
        try:
            app.ready.add([ReadyEntry(run.id, run.queue, run.priority, run.run_at) for run in runs])
        except JobsError as error:
            app.events.emit([ServiceFailed("ready", "add", str(error))])
    if app.events.wants(RunEnqueued):
        app.events.emit([RunEnqueued(run.id, run.kind, run.queue) for run in runs])
