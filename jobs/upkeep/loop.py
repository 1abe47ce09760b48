"""The upkeep loop: every duty in its turn, on a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from jobs.app import App
from jobs.errors import JobsError
from jobs.events import RunsSwept, ServiceFailed
from jobs.ready.protocol import ReadyEntry
from jobs.upkeep.bury import bury_unknown
from jobs.upkeep.rescue import expire_waiting, rescue_abandoned

log = logging.getLogger("jobs.upkeep")

EVERY_SECONDS = 5.0
"""Between two rounds, spread by a quarter either way. Source: decision; a lost lease is noticed within 6 s."""

Duty = Callable[[App], tuple[int, list[ReadyEntry]]]
"""Does one limited batch; how many runs it moved, and what the ready index should hear of."""


class Upkeep(threading.Thread):
    """Rescue, expiry and burial for as long as the process lives. A duty that fails is tried in the next round."""

    def __init__(self, app: App) -> None:
        super().__init__(name="jobs-upkeep", daemon=True)
        self._app = app
        self._stopping = threading.Event()
        self._since = app.clock.monotonic()

    def run(self) -> None:
        while not self._stopping.wait(EVERY_SECONDS * (0.75 + self._app.clock.rng.random() / 2)):
            self.round()

    def stop(self) -> None:
        self._stopping.set()
        self.join(5)

    def round(self) -> None:
        """Every duty once, each until it finds nothing more."""
        duties: list[tuple[str, Duty]] = [("rescue", rescue_abandoned), ("expire", expire_waiting)]
        waited = self._app.clock.monotonic() - self._since
        # Only who has been up for the whole wait can say that nobody knew a kind for so long.
        if waited >= self._app.settings.unknown_kind_wait.total_seconds():
            duties.append(("unknown_kind", bury_unknown))
        for name, duty in duties:
            try:
                self._do(name, duty)
            except JobsError as error:
                self._app.events.emit([ServiceFailed("ledger", name, str(error))])
            except Exception:
                log.exception("An upkeep duty failed; it is tried again.", extra={"duty": name})

    def _do(self, name: str, duty: Duty) -> None:
        while not self._stopping.is_set():
            moved, entries = duty(self._app)
            if entries and self._app.ready is not None:
                self._app.ready.add(entries)
            if not moved:
                return
            self._app.events.emit([RunsSwept(name, moved)])
