"""Bury: runs of kinds that no worker has known for long enough."""

from __future__ import annotations

from jobs.app import App
from jobs.ended import buried_events
from jobs.ledger import workers
from jobs.ledger.sweep import bury_unknown_kinds
from jobs.ready.protocol import ReadyEntry
from jobs.states import Cause


def bury_unknown(app: App) -> tuple[int, list[ReadyEntry]]:
    """Bury due runs whose kind no worker process has known for ``unknown_kind_wait``."""
    wait = app.settings.unknown_kind_wait
    with app.database.write() as connection:
        known = workers.kinds_known(connection, within=wait)
        buried = bury_unknown_kinds(connection, sorted(known), wait=wait) if known else []
    app.events.emit(buried_events(buried, Cause.UNKNOWN_KIND))
    return len(buried), []
