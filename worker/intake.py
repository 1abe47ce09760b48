"""Intake: the one fetch thread of a process. It claims for all queues, ahead of its threads but not far ahead.

Claimed runs live here, not in a consumer, whose buffer dramatiq drops when it restarts. They are handed over
by the run's own priority, a few ahead of each free thread; what no thread has started soon is given back.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Callable

from jobs.app import App
from jobs.dramatiq import Delivery
from jobs.errors import JobsError
from jobs.events import ServiceFailed
from jobs.ledger.records import Claim, Ending
from jobs.states import Outcome
from worker.holdings import Holdings
from worker.pace import MAX_BATCH, Pace
from worker.settler import Settler
from worker.source import Source

log = logging.getLogger("jobs.worker")

STALE_SECONDS = 0.25
"""A claimed run that no thread has started by then goes back: another process may be idle. Source: design."""
AHEAD_OF_A_THREAD = 2
LONGEST_TAKE = 0.2
"""Seconds that a take waits. Source: design; a stopping process waits for it."""


class Intake(threading.Thread):
    """Claims, buffers and hands over."""

    def __init__(
        self, app: App, source: Source, settler: Settler, holdings: Holdings, pace: Pace, *, threads: int
    ) -> None:
        super().__init__(name="jobs-intake", daemon=True)
        self._app = app
        self._source = source
        self._settler = settler
        self._holdings = holdings
        self._pace = pace
        self._threads = threads
        self._max_ahead = threads * AHEAD_OF_A_THREAD
        self._heap: list[tuple[int, int, Delivery]] = []
        self._order = itertools.count()
        self._lock = threading.Lock()
        # Handed to dramatiq and not started. Taking a delivery out of it decides who has it: a thread that
        # starts it, or this one that gives it back. A dict, because its pop is atomic and needs no lock.
        self._ahead: dict[Delivery, None] = {}
        self._busy: dict[Delivery, None] = {}
        # Claims went stale and no attempt has ended since: to claim ahead again would only churn the ledger.
        self._is_stalled = False
        self._low = threads
        self._room = threading.Event()
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self.on_failure: Callable[[BaseException], None] = lambda error: None

    @property
    def busy(self) -> int:
        """Threads that perform a run just now."""
        return len(self._busy)

    def run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                self._give_back_stale()
                self._refill()
                failures = 0
            except JobsError as error:
                failures += 1
                self._app.events.emit([ServiceFailed("ledger", "claim", str(error))])
                self._stopping.wait(self._backoff(failures))
            except BaseException as error:
                log.critical("The intake thread failed.", exc_info=True)
                self.on_failure(error)
                return

    def hand_over(self, wait_seconds: float) -> Delivery | None:
        """The next run for a thread; None if there is none in time, or no thread is near free."""
        if not self._can_hand_over():
            self._room.clear()
            if not self._can_hand_over():
                self._room.wait(wait_seconds)
        with self._lock:
            if not self._can_hand_over():
                return None
            delivery = heapq.heappop(self._heap)[2]
            self._ahead[delivery] = None
        self._want_more()
        return delivery

    def begin(self, delivery: Delivery) -> bool:
        """A thread wants to start what was handed over; False if it has been given back meanwhile."""
        if self._ahead.pop(delivery, self) is self:
            return False
        self._busy[delivery] = None
        if len(self._ahead) <= self._threads and not self._room.is_set():
            self._room.set()
        return True

    def take_back(self, delivery: Delivery) -> None:
        """dramatiq is done with a delivery: its ending goes to the settler; one without an ending is released."""
        if self._busy.pop(delivery, self) is self and self._ahead.pop(delivery, self) is self:
            return  # Given back already.
        self._is_stalled = False
        if delivery.ending is None:
            self._settler.give_back(delivery)
        else:
            self._settler.put(delivery)
        self._want_more()

    def stop_claiming(self) -> None:
        """Claim nothing more, and hand nothing more over."""
        self._stopping.set()
        self._room.set()
        self._wanted.set()

    def give_back_all(self) -> None:
        """Give back what no thread has started; once the thread has ended."""
        with self._lock:
            left, self._heap = [entry[2] for entry in self._heap], []
        left += [one for one in list(self._ahead) if self._ahead.pop(one, self) is not self]
        for delivery in left:
            self._settler.give_back(delivery)

    def abandon_busy(self) -> None:
        """The shutdown limit is over: release what is still performed, uncharged but on record."""
        for delivery in list(self._busy):
            if self._busy.pop(delivery, self) is not self and delivery.ending is None:
                now = self._app.clock.monotonic()
                delivery.ending = Ending(
                    claim=delivery.claim,
                    outcome=Outcome.RELEASED,
                    elapsed_seconds=now - delivery.claimed_monotonic,
                    ended_monotonic=now,
                )
                self._settler.put(delivery)

    def _can_hand_over(self) -> bool:
        return bool(self._heap) and len(self._ahead) < self._max_ahead and not self._stopping.is_set()

    def _want_more(self) -> None:
        if len(self._heap) + len(self._ahead) <= self._low and not self._wanted.is_set():
            self._wanted.set()

    def _refill(self) -> None:
        """Claim what is missing, or wait until something is."""
        idle = max(0, self._threads - len(self._busy))
        ahead = 0 if self._is_stalled else self._pace.ahead(self._source.queues())
        target = min(MAX_BATCH, idle + ahead)
        missing = target - len(self._heap) - len(self._ahead)
        # A batch is worth its statement when half of the target is missing.
        if missing < max(1, target // 2) or self._settler.backlog > 4 * MAX_BATCH:
            self._low = target // 2
            self._wanted.clear()
            if len(self._heap) + len(self._ahead) > self._low or idle == 0:
                self._wanted.wait(0.05)
            return
        claims = self._source.claim(missing, wait_seconds=LONGEST_TAKE)
        if claims:
            self._keep(claims)

    def _keep(self, claims: list[Claim]) -> None:
        self._holdings.add(claims)
        now = self._app.clock.monotonic()
        with self._lock:
            for claim in claims:
                heapq.heappush(self._heap, (claim.priority, next(self._order), Delivery(claim, now)))
        self._room.set()

    def _give_back_stale(self) -> None:
        oldest = self._app.clock.monotonic() - STALE_SECONDS
        with self._lock:
            stale = [entry[2] for entry in self._heap if entry[2].claimed_monotonic < oldest]
            if stale:
                self._heap = [entry for entry in self._heap if entry[2].claimed_monotonic >= oldest]
                heapq.heapify(self._heap)
        for delivery in list(self._ahead):
            if delivery.claimed_monotonic < oldest and self._ahead.pop(delivery, self) is not self:
                stale.append(delivery)
        if stale:
            self._is_stalled = True
        for delivery in stale:
            self._settler.give_back(delivery)

    def _backoff(self, failures: int) -> float:
        return float(min(2.0, 0.05 * 2.0 ** min(failures, 8)) * (0.5 + self._app.clock.rng.random()))
