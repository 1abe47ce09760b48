"""Wakes the consumers of a plain dramatiq worker when there may be work."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from jobs.app import App
from jobs.events import BatchSettled, Event, RunEnqueued
from worker.exchange.wakeups import PollingWakeup

LONGEST = 0.2
"""Seconds between two polls for runs of other processes. Source: decision; jobledger's own worker is notified at
once."""


class Wakeups:
    """The wakeups of the consumers of one process."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._made: list[ConsumerWakeup] = []
        app.events.subscribe(RunEnqueued, self._notify)
        app.events.subscribe(BatchSettled, self._notify)

    def make(self) -> ConsumerWakeup:
        """A wakeup for a consumer's source."""
        wakeup = ConsumerWakeup(self._app, self._made)
        self._made.append(wakeup)
        return wakeup

    def _notify(self, events: Sequence[Event]) -> None:
        for wakeup in list(self._made):
            wakeup.notify()


class ConsumerWakeup(PollingWakeup):
    """Notified when this process enqueues, or settles: then a retry may be due, or a callback enqueued."""

    def __init__(self, app: App, made: list[ConsumerWakeup]) -> None:
        super().__init__(app, longest=LONGEST)
        self._made = made
        self._notified = threading.Event()

    def notify(self) -> None:
        self._notified.set()

    def wait_for_change(self, seconds: float) -> bool:
        clock = self._app.clock
        if self._notified.wait(max(0.0, min(self._look_at - clock.monotonic(), seconds))):
            self._notified.clear()
            self.found()
            return True
        return super().wait_for_change(0.0)

    def close(self) -> None:
        if self in self._made:
            self._made.remove(self)
