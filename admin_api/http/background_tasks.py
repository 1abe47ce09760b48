"""Background tasks: bulk actions that run after their response is sent. A few run at once and a few more wait; each
finishes its batch when the process stops.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from jobs.errors import Conflict

log = logging.getLogger("jobs.api")

AT_ONCE, WAITING = 2, 16
"""Source: decision; an action holds a database connection while it does a batch."""
Work = Callable[[Callable[[], bool]], object]
"""Runs an action; between batches it calls its argument, which tells whether to stop."""


class BackgroundTasks:
    """Runs work on threads of its own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="jobs-api-desk")
        self._lock = threading.Lock()
        self._taken = 0
        self._stopped = threading.Event()

    def check_room(self) -> None:
        """Raises Conflict: too many actions are waiting."""
        if self._taken >= AT_ONCE + WAITING:
            raise Conflict(
                f"{self._taken} actions are running or waiting here.", hint="Try again when some of them have finished."
            )

    def take(self, work: Work) -> None:
        """Start it as soon as a thread is free."""
        with self._lock:
            self._taken += 1
        self._threads.submit(self._do, work)

    def close(self) -> None:
        """Stop running actions after their batch and waiting ones before their first; return when all have stopped."""
        self._stopped.set()
        self._threads.shutdown(wait=True)

    def _do(self, work: Work) -> None:
        try:
            work(self._stopped.is_set)
        except Exception:
            # Its row records the failure; no request waits for the result.
            log.exception("Background action failed")
        finally:
            with self._lock:
                self._taken -= 1
