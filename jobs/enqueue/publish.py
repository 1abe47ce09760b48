"""Publishes committed runs to the ready index. It is a hint: a failure is logged, never raised."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from jobs.app import App
from jobs.errors import JobsError
from jobs.events import ServiceFailed
from jobs.ledger.records import Freed, RecordedAttempt
from jobs.ready.protocol import ReadyEntry
from jobs.states import FAR, RunState

SOON = timedelta(seconds=30)
"""A run that waits longer than this for a moment is not in the index; the sweep of overdue runs adds it then.

Source: decision; a short sleep ends on time, and a hundred thousand long ones need no memory.
"""


def entries_of(runs: Iterable[Freed]) -> list[ReadyEntry]:
    """The entries of runs that wait in their queues; none for a held run that time alone does not make ready."""
    return [
        ReadyEntry(one.run_id, one.queue, one.priority, one.run_at)
        for one in runs
        if one.run_at is None or one.run_at < FAR
    ]


def entries_after(settled: Iterable[RecordedAttempt]) -> list[ReadyEntry]:
    """The entries of runs that wait once these attempts have ended: their retries, and the runs that follow them.

    A held run has none, unless time alone makes it ready soon.
    """
    entries = []
    for one in settled:
        if one.state is RunState.QUEUED and (not one.is_held or _is_soon(one)):
            entries.append(ReadyEntry(one.run_id, one.queue, one.priority, one.retry_at))
        entries += entries_of(one.followed_by)
    return entries


def _is_soon(one: RecordedAttempt) -> bool:
    return one.retry_at is not None and one.retry_at - one.finished_at <= SOON


def announce(app: App, entries: Sequence[ReadyEntry], *, now: datetime | None = None) -> bool:
    """Add ``entries`` to the ready index, if there is one. False if the index did not take them.

    The sweep of overdue runs finds the entries that it did not take.
    """
    if app.ready is None or not entries:
        return True
    try:
        app.ready.add(entries, now=now)
    except JobsError as error:
        app.events.emit([ServiceFailed("ready", "add", str(error))])
        return False
    return True
