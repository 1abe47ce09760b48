"""Bells: what wakes the consumers of a plain dramatiq worker: what its own process does, and a look now and then."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from jobs.app import App
from jobs.events import BatchSettled, Event, RunEnqueued
from worker.source import PollingBell

LONGEST = 0.2
"""Seconds between two looks for what others enqueued. Source: decision; the worker of ours hears of it at once."""


class Bells:
    """The bells of one process."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._made: list[GuestBell] = []
        app.events.subscribe(RunEnqueued, self._ring)
        app.events.subscribe(BatchSettled, self._ring)

    def make(self) -> GuestBell:
        """One for a consumer's source."""
        bell = GuestBell(self._app, self._made)
        self._made.append(bell)
        return bell

    def _ring(self, events: Sequence[Event]) -> None:
        for bell in list(self._made):
            bell.ring()


class GuestBell(PollingBell):
    """Rung when this process enqueues, or settles: a retry may be due, a callback there."""

    def __init__(self, app: App, made: list[GuestBell]) -> None:
        super().__init__(app, longest=LONGEST)
        self._made = made
        self._rung = threading.Event()

    def ring(self) -> None:
        self._rung.set()

    def wait_for_change(self, seconds: float) -> bool:
        clock = self._app.clock
        if self._rung.wait(max(0.0, min(self._look_at - clock.monotonic(), seconds))):
            self._rung.clear()
            self.found()
            return True
        return super().wait_for_change(0.0)

    def close(self) -> None:
        if self in self._made:
            self._made.remove(self)
