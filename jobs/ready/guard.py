"""A circuit breaker: callers do not wait for a ready index that does not answer.

The first call that finds the index down opens the circuit. From then on every call is refused at once, and one thread
of the guard polls the server until it answers. Only that thread waits for a frozen server.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from jobs.clock import Clock
from jobs.errors import ServiceDown
from jobs.ready.protocol import ReadyBatch, ReadyEntry, ReadyIndex

log = logging.getLogger("jobs.ready")

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 2.0
"""Seconds between two polls of an index that is down. Source: decision; workers are back within 3 s."""
SETTLED_SECONDS = 5.0
"""An index that is down again within this answers polls but does not work: it is polled less and less often."""
T = TypeVar("T")


class GuardedIndex:
    """A ``ReadyIndex`` that is refused without waiting while ``index`` is down."""

    def __init__(self, index: ReadyIndex, clock: Clock) -> None:
        self._index = index
        self._clock = clock
        self._down: ServiceDown | None = None
        self._lock = (
            threading.RLock()
        )  # Reentrant: a signal handler that enqueues may interrupt the thread that holds it.
        self._closed = threading.Event()
        self._pause = FIRST_PAUSE
        self._opened_at = -SETTLED_SECONDS
        self._is_untold = False

    @property
    def is_down(self) -> bool:
        """Whether calls are refused now."""
        return self._down is not None

    def add(self, entries: Sequence[ReadyEntry], *, now: datetime | None = None) -> None:
        self._call(lambda: self._index.add(entries, now=now))

    def take(self, queues: Sequence[str], count: int, *, wait_seconds: float) -> ReadyBatch:
        return self._call(lambda: self._index.take(queues, count, wait_seconds=wait_seconds))

    def peek(self, queues: Sequence[str], count: int, *, skip: int) -> ReadyBatch:
        return self._call(lambda: self._index.peek(queues, count, skip=skip))

    def forget(self, runs: Iterable[tuple[UUID, str]]) -> None:
        self._call(lambda: self._index.forget(runs))

    def is_intact(self) -> bool:
        return self._call(self._index.is_intact)

    def mark_intact(self) -> bool:
        return self._call(self._index.mark_intact)

    def probe(self) -> None:
        self._call(self._index.probe)

    def wipe(self) -> None:
        self._call(self._index.wipe)

    def close(self) -> None:
        self._closed.set()
        self._index.close()

    def _call(self, ask: Callable[[], T]) -> T:
        down = self._down
        if down is not None:
            raise ServiceDown(down.message, hint=down.hint)
        try:
            answer = ask()
        except ServiceDown as error:
            self._shut(error)
            raise
        if self._is_untold:
            self._is_untold = False
            log.info("Ready index answers again")
        return answer

    def _shut(self, error: ServiceDown) -> None:
        with self._lock:
            if self._down is not None or self._closed.is_set():
                return
            self._down = error
            is_again = self._clock.monotonic() - self._opened_at < SETTLED_SECONDS
            self._pause = min(LONGEST_PAUSE, self._pause * 2) if is_again else FIRST_PAUSE
        threading.Thread(target=self._ask_until_answered, name="jobs-ready-probe", daemon=True).start()

    def _ask_until_answered(self) -> None:
        pause = self._pause
        while not self._closed.wait(pause * (0.5 + self._clock.rng.random())):
            try:
                self._index.is_intact()
            except ServiceDown as error:
                self._down = error
                pause = min(LONGEST_PAUSE, pause * 2)
            except Exception:
                # No other thread polls: if this one ended on an error, the circuit would stay open for ever.
                if not self._closed.is_set():
                    log.exception("Check of the ready index failed; it will be retried")
                pause = min(LONGEST_PAUSE, pause * 2)
            else:
                self._opened_at, self._is_untold = self._clock.monotonic(), True
                self._down = None
                return
