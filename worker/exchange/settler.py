"""Settler: records many attempt results in one transaction, on a thread that is never interrupted.

It commits whenever it is free, and never waits to fill a batch. While the ledger is down it keeps the results and
tries again. The heartbeat renews the leases meanwhile, and in the end the token decides whether a result is accepted.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobs.app import App
from jobs.database.direct_statements import DirectConnection
from jobs.database.own_connection import OwnConnection
from jobs.errors import JobsError, LedgerRefused
from jobs.events import ServiceFailed
from jobs.ledger.limits.counts import Key
from jobs.ledger.records import AttemptResult, Freed, RecordedAttempt
from jobs.ledger.runs.give_back import give_back
from jobs.ledger.runs.settle import settle
from jobs.ledger.runs.settle_members import settle_counted, settle_members
from jobs.ledger.runs.settle_plain import is_limited_success, is_plain, settle_plain
from jobs.runtime import fault_points
from jobs.states import RunState
from worker.attempt.unrecordable import strip
from worker.exchange.announcements import Announcements, RecordedBatch
from worker.exchange.delivery import Delivery
from worker.exchange.held_leases import HeldLeases
from worker.exchange.outage_wait import outage_wait
from worker.exchange.prefetch import MAX_BATCH, PrefetchLimit
from worker.exchange.successions import Successions
from worker.protocol.running_table import RunningRows

log = logging.getLogger("jobs.worker")

_STOP = None


class Settler(threading.Thread):
    """Records the ends of attempts in the ledger, and gives back claims that were never started.

    Args:
        own: the connection for plain successes; without it, each batch takes one from the pool.
    """

    def __init__(
        self,
        app: App,
        held_leases: HeldLeases,
        prefetch_limit: PrefetchLimit,
        running_rows: RunningRows,
        *,
        worker: str,
        own: OwnConnection | None = None,
    ) -> None:
        super().__init__(name="jobs-settler", daemon=True)
        self._own = own
        self._app = app
        self._held_leases = held_leases
        self._running_rows = running_rows
        self._worker = worker
        self._queue: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._quitting = threading.Event()
        self._member_kinds: set[str] = set()
        self.on_failure: Callable[[BaseException], None] = lambda error: None
        self.successions = Successions(app, worker=worker)
        self.announcements = Announcements(app, prefetch_limit)
        self.busy_since: float | None = None
        """When it last began to settle a batch, or tried again; None while it waits for one."""

    @property
    def backlog(self) -> int:
        """Deliveries that wait to be settled."""
        return self._queue.qsize()

    def put(self, delivery: Delivery) -> None:
        """Settle this delivery's result. Never waits, never raises."""
        self._queue.put(delivery)

    def give_back(self, delivery: Delivery) -> None:
        """Give this claim back, uncharged and without a record: it was never started."""
        delivery.attempt_result = None
        self._queue.put(delivery)

    def stop(self, seconds: float) -> bool:
        """Settle the results so far, for at most ``seconds``. Returns whether all of them are settled."""
        self._queue.put(_STOP)
        self.join(seconds)
        self._quitting.set()
        return not self.is_alive()

    def run(self) -> None:
        is_last = False
        try:
            # Claims that come while it is asked to stop are given back.
            while not (self._quitting.is_set() or (is_last and self._queue.empty())):
                batch, is_stop = self._next_batch()
                is_last |= is_stop
                if batch:
                    self._settle_until_done(batch)
        except BaseException as error:
            log.critical("Settler thread failed", exc_info=True)
            self.on_failure(error)
        finally:
            self.announcements.catch_up()
            if self._own is not None:
                self._own.close()

    def _next_batch(self) -> tuple[list[Delivery], bool]:
        batch: list[Delivery] = []
        try:
            one = self._queue.get()
            while True:
                if one is _STOP:
                    return batch, True
                batch.append(one)
                if len(batch) >= MAX_BATCH:
                    return batch, False
                one = self._queue.get_nowait()
        except queue.Empty:
            return batch, False

    def _settle_until_done(self, batch: list[Delivery]) -> None:
        failures = 0
        while not self._quitting.is_set():
            self.busy_since = self._app.clock.monotonic()
            try:
                self._settle(batch)
                self.busy_since = None
                return
            except Exception as error:
                self.announcements.catch_up()
                if not isinstance(error, JobsError) or isinstance(error, LedgerRefused):
                    # One by one; a result that is refused again goes without its error text. An error that is not a
                    # service's is a bug of ours with one result: it must not end the process, which performs other
                    # runs.
                    log.exception("Ledger refused a batch of attempt results")
                    if len(batch) == 1:
                        if not strip(batch[0].attempt_result, error):
                            self._leave_to_upkeep(batch[0])
                            return
                    else:
                        for delivery in batch:
                            self._settle_until_done([delivery])
                        return
                    continue
                failures += 1
                self._app.events.emit([ServiceFailed("ledger", "settle", str(error))])
                self._quitting.wait(outage_wait(failures, self._app.clock))

    def _settle(self, batch: list[Delivery]) -> None:
        app = self._app
        began = app.clock.monotonic()
        # By the token's number, because Python computes the hash of a UUID in code of its own.
        results = {
            one.attempt_result.claim.token.int: one
            for one in batch
            if one.attempt_result is not None and one.settled is None
        }
        unstarted = [(one.claim.run_id, one.claim.token) for one in batch if one.attempt_result is None]
        settled: list[tuple[AttemptResult, RecordedAttempt]] = []
        refused: list[AttemptResult] = []
        freed: list[Freed] = []
        left: list[Key] = []
        plain = 0
        if app.database.dialect == "postgresql":
            plain = self._settle_plain(results, began)
            left += self._settle_limited(results, began)
        self.announcements.catch_up()
        if results or unstarted:
            with app.database.write() as connection:
                settled, refused = settle(
                    connection,
                    [one.attempt_result for one in results.values() if one.attempt_result is not None],
                    worker=self._worker,
                    poison_after=app.settings.poison_after,
                    monotonic=began,
                )
                given_back = give_back(connection, unstarted)
                freed += given_back
                if given_back or any(one.state is RunState.QUEUED or one.followed_by for _, one in settled):
                    app.database.send_notify(connection)
        # Committed. Nothing may fail the batch from here on.
        for delivery in batch:
            self._held_leases.drop(delivery.claim.token)
            self._running_rows.clear(delivery.running_row)
            if delivery.settled is not None and delivery.attempt_result is not None:
                settled.append((delivery.attempt_result, delivery.settled))
        fault_points.committed(settled)
        try:
            left += [key for _, one in settled for key in one.slots_left]
            freed += self.successions.reassign(self._direct, list(dict.fromkeys(left)))
        except Exception:
            log.exception("Reassigning slots of limits failed")
        done = RecordedBatch(settled, refused, freed, app.clock.monotonic() - began)
        if plain == len(batch) and not self._queue.empty():
            self.announcements.later(done)
            return
        self.announcements.now(done)
        for delivery in batch:
            if delivery.attempt_result is not None:
                # The error's frames keep the job's objects alive, and this thread keeps its last batch.
                delivery.attempt_result.error = None

    def _settle_plain(self, results: dict[int, Delivery], began: float) -> int:
        """Settle the plain successes among ``results``, those of members of batches too, and take them out.

        Returns how many were no members.
        """
        done: list[tuple[AttemptResult, RecordedAttempt]] = []
        every = (one.attempt_result for one in results.values())
        if not (plain := {one.claim.run_id.int: one for one in every if one is not None and is_plain(one)}):
            return 0
        # A claim does not say whether its run is a member, so the kinds that were members tell which way to try first.
        members = self._member_kinds
        guessed = [one for one in plain.values() if one.claim.kind in members] if members else []
        try:
            if guessed:
                with self._direct() as connection:
                    _take_out(results, settle_counted(connection, guessed, worker=self._worker, monotonic=began))
                self._settle_members(results, [one for one in guessed if one.claim.token.int in results], began)
            left = [one for one in plain.values() if one.claim.token.int in results] if guessed else [*plain.values()]
            if left:
                with self._direct() as connection:
                    announce = self.announcements.catch_up
                    done = settle_plain(connection, left, worker=self._worker, monotonic=began, meanwhile=announce)
                _take_out(results, done)
                if members:
                    members.difference_update(one.kind for _, one in done)
                if len(done) < len(left):
                    untried = results.keys() - {one.claim.token.int for one in guessed}
                    self._settle_members(results, [one for one in left if one.claim.token.int in untried], began)
        except LedgerRefused:
            # One row is at fault, such as a foreign one with an attempt's number. The slow path settles each alone.
            log.warning("Ledger refused a batch of successes, each is settled alone", exc_info=True)
        return len(done)

    def _settle_limited(self, results: dict[int, Delivery], began: float) -> list[Key]:
        """Settle plain successes of kinds with limits, and take them out. Returns keys whose slots nobody took."""
        every = (one.attempt_result for one in results.values())
        if not (limited := {one.claim.run_id.int: one for one in every if one is not None and is_limited_success(one)}):
            return []
        try:
            with self._direct() as direct:
                done = self.successions.settle(direct, list(limited.values()), began)
        except LedgerRefused:
            log.warning("Ledger refused a batch of successes, each is settled alone", exc_info=True)
            return []
        _take_out(results, done.settled)
        return done.left

    def _settle_members(self, results: dict[int, Delivery], some: list[AttemptResult], began: float) -> None:
        if not some:
            return
        with self._app.database.write() as connection:
            done = settle_members(connection, some, worker=self._worker, monotonic=began)
            if any(one.followed_by for _, one in done):
                self._app.database.send_notify(connection)
        _take_out(results, done)
        self._member_kinds.update(one.kind for _, one in done)

    @contextmanager
    def _direct(self) -> Iterator[DirectConnection]:
        database = self._app.database
        with database.translated(), self._own.opened() if self._own else database.direct() as connection:
            yield connection

    def _leave_to_upkeep(self, delivery: Delivery) -> None:
        """Even the stripped result is refused: let the lease expire, so that upkeep ends the attempt as abandoned."""
        claim = delivery.claim
        log.critical("Attempt result cannot be recorded", extra={"run_id": str(claim.run_id), "kind": claim.kind})
        self._held_leases.leave(claim.token)
        self._running_rows.clear(delivery.running_row)


def _take_out(results: dict[int, Delivery], done: list[tuple[AttemptResult, RecordedAttempt]]) -> None:
    for attempt_result, settled in done:
        results.pop(attempt_result.claim.token.int).settled = settled
