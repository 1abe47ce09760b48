"""The write path: ledger rows first, then, after their commit, the ready index and the events."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from uuid import UUID

from jobs.app import App
from jobs.errors import JobsError
from jobs.events import RunEnqueued, ServiceFailed
from jobs.ledger.insert import insert_runs
from jobs.ledger.records import NewRun
from jobs.ready.protocol import ReadyEntry
from jobs.session import after_commit, borrowed

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger("jobs.enqueue")

CHUNK = 500
"""Runs inserted by one statement. Source: measured; larger chunks gain nothing."""


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
        announce(app, runs)
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
    with borrowed(session, app.database):
        for chunk in _chunks(runs):
            insert_runs(session, chunk)
    after_commit(session, runs, lambda committed: announce(app, committed))


def announce(app: App, runs: Sequence[NewRun]) -> None:
    """Tell the ready index and the subscribers. The rows are committed: nothing here may fail the caller."""
    if app.ready is not None:
        try:
            app.ready.add([ReadyEntry(run.id, run.queue, run.priority, run.run_at) for run in runs])
        except JobsError as error:
            app.events.emit([ServiceFailed("ready", "add", str(error))])
    if app.events.wants(RunEnqueued):
        app.events.emit([RunEnqueued(run.id, run.kind, run.queue) for run in runs])
