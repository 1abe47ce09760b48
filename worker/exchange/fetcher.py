"""Fetcher: the one thread of a process that claims runs, for all queues and slightly ahead of the threads.

The fetcher buffers claimed runs, because dramatiq drops a consumer's buffer when it restarts the consumer. A free
thread takes the next run by priority. The fetcher gives back a run that no thread starts soon.

It wakes waiting threads only as they are needed, the last to wait first. One thread performs hundreds of short runs
before another gets the interpreter lock, and eight that compete for it slow down the threads that claim and settle.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence

from jobs.app import App
from jobs.definition.breakers import Slice
from jobs.errors import JobsError
from jobs.events import ServiceFailed
from jobs.ledger.records import AttemptResult, Claim
from jobs.states import Outcome
from worker.attempt.outcome import attempt_result_now, broken, set_aside
from worker.exchange.admission import slice_of_claim
from worker.exchange.claim_buffer import ClaimBuffer
from worker.exchange.delivery import Delivery
from worker.exchange.fetch_plan import (
    BACKLOG_WAIT,
    IDLE_TAKE,
    LANE_POLL_SECONDS,
    MAX_AHEAD,
    STALE_POLL_SECONDS,
    STALE_SECONDS,
    STALL_POLL_SECONDS,
    WAITED_LONG,
    FetchPlan,
    Lane,
)
from worker.exchange.held_leases import HeldLeases
from worker.exchange.outage_wait import outage_wait
from worker.exchange.prefetch import MAX_BATCH, PrefetchLimit
from worker.exchange.settler import Settler
from worker.exchange.source import Source
from worker.exchange.successions import SuccessorPlan
from worker.exchange.thread_waiters import ThreadWaiters

log = logging.getLogger("jobs.worker")


class Fetcher(threading.Thread):
    """Claims runs, buffers them and hands them to threads. Runs of ``lane_kinds`` go to the ``lane``, as it has room.

    Args:
        not_now: returns the kinds that must not be claimed now.
        on_doubt: called before the next claim after one has failed: the ledger may have committed it.
        takes_thread: whether a run of these kinds needs a thread nevertheless.
    """

    def __init__(
        self,
        app: App,
        source: Source,
        settler: Settler,
        held_leases: HeldLeases,
        prefetch_limit: PrefetchLimit,
        *,
        threads: int,
        kinds: Sequence[str] = (),
        lane: Lane | None = None,
        lane_kinds: Sequence[str] = (),
        takes_thread: Callable[[Claim], bool] = lambda claim: False,
        not_now: Callable[[], Sequence[str]] = tuple,
        on_doubt: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(name="jobs-fetcher", daemon=True)
        self._app = app
        self._source = source
        self._settler = settler
        self._held_leases = held_leases
        self._prefetch_limit = prefetch_limit
        self._threads = threads
        self._lane = lane
        self._lane_kinds = frozenset(lane_kinds)
        self._takes_thread = takes_thread
        self._fetch_plan = FetchPlan(kinds, self._lane_kinds, not_now=not_now)
        self._on_doubt = on_doubt
        self.buffer = ClaimBuffer()
        self._stopping = threading.Event()
        settler.announcements.on_open = self._give_back_of
        self._successors = settler.successions
        self._successors.on_started = self._keep
        plan = SuccessorPlan(self.buffer, prefetch_limit, threads, source.queues(), not_now, self._stopping.is_set)
        self._successors.plan = plan.of(kind for kind in kinds if kind not in self._lane_kinds)
        # Claims became stale and no attempt has ended since, so prefetching again would only load the ledger.
        self._is_stalled = False
        self._looked_for_stale = app.clock.monotonic()
        self._low = threads
        self._waiters = ThreadWaiters()
        self._seen_handed_over = 0
        self._wanted = threading.Event()
        self.on_failure: Callable[[BaseException], None] = lambda error: None
        self.on_turn: Callable[[], None] = lambda: None
        self.turned_at = app.clock.monotonic()
        self.on_claim: Callable[[], None] = lambda: None

    def run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self.turned_at = self._app.clock.monotonic()
            try:
                self._give_back_stale()
                if failures or self._successors.is_in_doubt:
                    self._successors.resolve(self._on_doubt)
                self._refill()
                self.on_turn()
                failures = 0
            except JobsError as error:
                failures += 1
                self._app.events.emit([ServiceFailed("ledger", "claim", str(error))])
                self._stopping.wait(outage_wait(failures, self._app.clock))
            except BaseException as error:
                log.critical("Fetcher thread failed", exc_info=True)
                self.on_failure(error)
                return

    def hand_over(self, wait_seconds: float) -> Delivery | None:
        """The next run for an idle thread; None if there is none in time."""
        return self._next() or self._waiters.wait(wait_seconds, self._next)

    def wait_for_end(self, seconds: float) -> None:
        """Wait until the fetcher stops, at most ``seconds``; then briefly, since the caller loops."""
        if self._stopping.wait(seconds):
            self._app.clock.sleep(BACKLOG_WAIT)

    def close(self) -> None:
        """Hand over nothing more, and wake every waiting thread."""
        self._waiters.close()

    def take_back(self, delivery: Delivery) -> None:
        """dramatiq has finished a delivery: pass its result to the settler, or release the run if there is none.

        A delivery that no thread has started is not recorded. One that was started and has no result is recorded
        with the error that prevented it.
        """
        was_begun = self.buffer.end(delivery)
        if not was_begun and not self.buffer.withdraw(delivery):
            return  # Already given back.
        self._is_stalled = False
        if delivery.attempt_result is None and was_begun:
            error, began = delivery.take_exception(), delivery.claimed_monotonic
            delivery.attempt_result = (
                attempt_result_now(self._app, delivery.claim, began, Outcome.RELEASED)
                if error is None
                else broken(self._app, delivery.claim, began, error)
            )
        if delivery.attempt_result is None:
            self._settler.give_back(delivery)
        else:
            self._settler.put(delivery)
        self._want_more()

    def end(self, delivery: Delivery, attempt_result: AttemptResult) -> bool:
        """End a delivery whose thread does not return; False if the thread no longer has it."""
        if not self.buffer.end(delivery):
            return False
        delivery.attempt_result = attempt_result
        self._settler.put(delivery)
        self._want_more()
        return True

    def want(self) -> None:
        """Wake the fetcher: the lane has room again."""
        if not self._wanted.is_set():
            self._wanted.set()

    def stop_claiming(self) -> None:
        """Claim no more runs and hand over no more."""
        self._stopping.set()
        self._wanted.set()

    def give_back_all(self) -> None:
        """Give back the runs that no thread has started; call it after this thread has ended."""
        for delivery in self.buffer.take_all():
            self._settler.give_back(delivery)

    def abandon_busy(self) -> None:
        """The shutdown time is over: release the runs that threads still perform, uncharged but recorded."""
        for delivery in self.buffer.performing():
            if self.buffer.end(delivery) and delivery.attempt_result is None:
                delivery.attempt_result = attempt_result_now(
                    self._app, delivery.claim, delivery.claimed_monotonic, Outcome.RELEASED
                )
                self._settler.put(delivery)

    def _next(self) -> Delivery | None:
        delivery = None if self._stopping.is_set() else self.buffer.take()
        if delivery is not None:
            self._want_more()
        return delivery

    def _wake_if_stalled(self) -> None:
        """Wake one more thread if waiting runs make no progress, or wait long: they take longer than was expected."""
        seen, self._seen_handed_over = self._seen_handed_over, self.buffer.handed_over
        claimed = self.buffer.next_claimed_monotonic() if self._waiters else None
        if claimed is None:
            return
        waited = self._app.clock.monotonic() - claimed
        if seen == self.buffer.handed_over or waited > WAITED_LONG:
            self._waiters.wake(1)

    def _want_more(self) -> None:
        if len(self.buffer) <= self._low and not self._wanted.is_set():
            self._wanted.set()

    def _refill(self) -> None:
        """Claim the missing runs, or wait until a run is missing."""
        idle = max(0, self._threads - self.buffer.busy)
        ahead = 0 if self._is_stalled else self._prefetch_limit.ahead(self._source.queues())
        target = min(MAX_AHEAD, idle + ahead)
        missing = target - len(self.buffer)
        room = 0 if self._lane is None else min(MAX_BATCH, self._lane.room())
        if self._settler.backlog > 4 * MAX_BATCH:
            # A pause, since a fetcher that only polls takes the interpreter lock from the settler.
            self._stopping.wait(BACKLOG_WAIT)
            return
        # A claim is worth a statement once half of the target is missing.
        is_full = missing < max(1, target // 2)
        may_be_more = is_full or self._claim_for_threads(min(missing, MAX_BATCH), room)
        if room and may_be_more:
            self._claim_for_lane(room)
        if is_full:
            self._low = target // 2
            self._wanted.clear()
            if len(self.buffer) > self._low or idle == 0:
                longest = LANE_POLL_SECONDS if room else 0.05
                self._wanted.wait(STALL_POLL_SECONDS if self.buffer.waiting and self._waiters else longest)
            self._wake_if_stalled()

    def _claim_for_threads(self, missing: int, room: int) -> bool:
        """Claim for the threads, and with it for the lane. Returns whether there may be more for the lane."""
        count, kinds, wait = self._fetch_plan.for_threads(missing, room)
        if wait and not (self.buffer or self.buffer.busy):
            wait = IDLE_TAKE
        found = self._claim(count, kinds, wait)
        if kinds is not None and not found:
            self._wanted.clear()
            self._wanted.wait(LANE_POLL_SECONDS)
        return found == count or kinds is not None

    def _claim_for_lane(self, room: int) -> None:
        """Claim runs that need no thread, while the threads need none."""
        began = self._app.clock.monotonic()
        kinds = self._fetch_plan.for_lane(began)
        if kinds and not self._claim(room, kinds, 0.0):
            self._fetch_plan.found_none_for_lane(began, self._app.clock.monotonic())

    def _claim(self, count: int, kinds: tuple[str, ...] | None, wait_seconds: float) -> int:
        if kinds == ():
            return 0
        claims = self._source.claim(count, wait_seconds=wait_seconds, kinds=kinds)
        self._successors.is_hungry = len(claims) < count
        if claims:
            self.on_claim()
            self._keep(claims)
        return len(claims)

    def _keep(self, claims: list[Claim]) -> None:
        self._held_leases.add(claims)
        now = self._app.clock.monotonic()
        lane, to_lane, to_threads = self._lane, [], []
        for claim in claims:
            delivery = Delivery(claim, now)
            if claim.problem is not None:
                delivery.attempt_result = set_aside(self._app, claim)
                self._settler.put(delivery)
            elif lane is not None and claim.kind in self._lane_kinds and not self._takes_thread(claim):
                to_lane.append(delivery)
            else:
                to_threads.append(delivery)
        waiting = self.buffer.put(to_threads)
        self._waiters.wake(self._prefetch_limit.threads_for(waiting, self._source.queues()))
        if lane is not None and to_lane:
            lane.start(to_lane)
        if self._stopping.is_set():
            self.give_back_all()

    def _give_back_of(self, slices: Collection[Slice]) -> None:
        """Give back the runs of slices whose breakers are open: they would only fail."""
        for delivery in self.buffer.take_those(lambda one: slice_of_claim(one.claim) in slices):
            self._settler.give_back(delivery)

    def _give_back_stale(self) -> None:
        now = self._app.clock.monotonic()
        if now - self._looked_for_stale < STALE_POLL_SECONDS:
            return
        self._looked_for_stale = now
        stale = self.buffer.take_older(now - STALE_SECONDS)
        if stale:
            self._is_stalled = True
        for delivery in stale:
            self._settler.give_back(delivery)
