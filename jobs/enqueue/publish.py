"""Publishes committed runs to the ready index. It is a hint: a failure is logged, never raised."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from jobs.app import App
from jobs.errors import JobsError
from jobs.events import ServiceFailed
from jobs.ready.protocol import ReadyEntry


def announce(app: App, entries: Sequence[ReadyEntry], *, now: datetime | None = None) -> bool:
    """Make ``entries`` known to the ready index, if there is one. False if it did not hear.

    What it did not hear of is found by the ledger's sweep of overdue runs.
    """
    if app.ready is None or not entries:
        return True
    try:
        app.ready.add(entries, now=now)
    except JobsError as error:
        app.events.emit([ServiceFailed("ready", "add", str(error))])
        return False
    return True
