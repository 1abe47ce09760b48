"""Dead-letters runs whose kind no worker has known for long enough."""

from __future__ import annotations

from jobs.app import App
from jobs.enqueue.publish import entries_of
from jobs.ledger import workers
from jobs.ledger.runs.sweep import dead_letter_unknown_kinds
from jobs.ready.protocol import ReadyEntry
from jobs.states import Cause
from jobs.upkeep.ended_events import dead_letter_events


def dead_letter_unknown(app: App) -> tuple[int, list[ReadyEntry]]:
    """Dead-letter due runs whose kind no worker process has known for ``unknown_kind_wait``."""
    wait = app.settings.unknown_kind_wait
    with app.database.write() as connection:
        known = workers.kinds_known(connection, within=wait)
        dead_lettered = dead_letter_unknown_kinds(connection, sorted(known), wait=wait) if known else []
        freed = [one for dead in dead_lettered for one in dead.freed]
        if freed:
            app.database.send_notify(connection)
    app.events.emit(dead_letter_events(dead_lettered, Cause.UNKNOWN_KIND))
    return len(dead_lettered), entries_of(freed)
