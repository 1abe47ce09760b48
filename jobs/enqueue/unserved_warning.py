"""Warns when runs are enqueued in a ledger that no setting names and no live worker serves.

Without ``JOBS_DATABASE_URL`` a process uses the ``jobs.db`` of its folder. If the workers use another database, its
runs would wait for ever without any other sign.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable

from jobs.app import App
from jobs.errors import JobsError
from jobs.ledger import workers

log = logging.getLogger("jobs.enqueue")

_asked: set[tuple[str, str]] = set()
"""Ledgers and queues that this process has checked: each once."""
_skipped: set[str] = set()
if hasattr(os, "register_at_fork"):  # Not on Windows.
    os.register_at_fork(after_in_child=_asked.clear)


def skip_for(app: App) -> None:
    """Do not warn about this App's ledger: an operator chose its folder at the command line, as ``why`` explains."""
    _skipped.add(app.database.shown)


def warn_if_unserved(app: App, queues: Iterable[str]) -> None:
    """Warn once per process of queues that no live worker serves; only if no setting names the ledger."""
    if app.settings.database_url is not None or app.database.shown in _skipped:
        return
    new = sorted({queue for queue in queues if (app.database.shown, queue) not in _asked})
    if not new:
        return
    _asked.update((app.database.shown, queue) for queue in new)
    try:
        with app.database.read() as connection:
            served = {queue for one in workers.live(connection) for queue in one.queues}
    except JobsError:
        return
    for queue in new:
        if queue not in served:
            log.warning(
                "Enqueued where no worker looks: JOBS_DATABASE_URL is not set and no live worker serves this queue; "
                "start a worker in this folder, or set JOBS_DATABASE_URL to the ledger of the workers",
                extra={"queue": queue, "ledger": app.database.shown},
            )
