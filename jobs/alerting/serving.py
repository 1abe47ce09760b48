"""Lets a worker process deliver alerts too, if there are receivers."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.alerting.delivery import QUEUE, register
from jobs.app import App
from jobs.errors import JobsError
from jobs.ledger.operators.alert_routes import has_routes


def with_alerts(app: App, queues: Sequence[str]) -> tuple[Sequence[str], bool]:
    """The queues that a process serves, and whether that of the alerts is among them.

    Without receivers, nothing changes: no kind, no queue, no statement.

    Args:
        queues: as given to the worker; empty: those of its kinds.
    """
    try:
        with app.database.read() as connection:
            if not has_routes(connection):
                return queues, False
    except JobsError:
        # The process starts, and waits for the ledger. Once it sees receivers, another one takes its place.
        return queues, False
    register()
    if not queues or any(one.partition(":")[0] == QUEUE for one in queues):
        return queues, True
    word = f"{QUEUE}:1" if any(":" in one for one in queues) else QUEUE
    return [*queues, word], True
