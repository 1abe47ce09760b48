"""Settler: group commit. Many endings, one transaction, on a thread of its own that no interrupt can hit.

It commits whenever it is free, and never waits to fill a batch. While the ledger is away it keeps what it has
and tries again; the leases are renewed meanwhile, and the token decides in the end.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from uuid import UUID

from jobs.announce import announce
from jobs.app import App
from jobs.errors import JobsError, LedgerRefused
from jobs.events import AttemptEnded, BatchSettled, ResultRefused, ServiceFailed
from jobs.failure import MAX_MESSAGE, storable
from jobs.ledger.give_back import give_back
from jobs.ledger.records import Ending, Failure, Freed, Settled
from jobs.ledger.settle import settle
from jobs.ledger.settle_plain import is_plain, settle_plain
from jobs.ready.protocol import ReadyEntry
from jobs.states import Cause, Outcome, RunState
from worker.delivery import Delivery
from worker.holdings import Holdings
from worker.marks import Marks
from worker.pace import Pace

log = logging.getLogger("jobs.worker")

MAX_BATCH = 500
_STOP = None
_UNRECORDABLE = "the ledger could not hold what was raised; the log has it"


class Settler(threading.Thread):
    """Ends attempts in the ledger, and gives back claims that were never started."""

    def __init__(self, app: App, holdings: Holdings, pace: Pace, marks: Marks, *, worker: str) -> None:
        super().__init__(name="jobs-settler", daemon=True)
        self._app = app
        self._holdings = holdings
        self._pace = pace
        self._marks = marks
        self._worker = worker
        self._queue: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._quitting = threading.Event()
        self.on_failure: Callable[[BaseException], None] = lambda error: None
        self.busy_since: float | None = None
        """When it last began to settle a batch, or began again; None while it waits for one."""

    @property
    def backlog(self) -> int:
        """Deliveries that wait to be settled."""
        return self._queue.qsize()

    def put(self, delivery: Delivery) -> None:
        """Settle this delivery's ending. Never waits, never fails."""
        self._queue.put(delivery)

    def give_back(self, delivery: Delivery) -> None:
        """Give this claim back, uncharged and without a record: it was never started."""
        delivery.ending = None
        self._queue.put(delivery)

    def stop(self, seconds: float) -> bool:
        """Settle what has come, for at most so long. Whether all of it is settled."""
        self._queue.put(_STOP)
        self.join(seconds)
        self._quitting.set()
        return not self.is_alive()

    def run(self) -> None:
        try:
            while True:
                batch, is_last = self._next_batch()
                if batch:
                    self._settle_until_done(batch)
                if is_last or self._quitting.is_set():
                    return
        except BaseException as error:
            log.critical("The settler thread failed.", exc_info=True)
            self.on_failure(error)

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
                if not isinstance(error, JobsError) or isinstance(error, LedgerRefused):
                    # One by one, and the one that is refused without its words. What no service did is a fault of ours
                    # in one of them: it must not end a process that performs for others.
                    log.exception("The ledger refused a batch of endings.")
                    if len(batch) == 1:
                        if not self._strip(batch[0], error):
                            self._let_go(batch[0])
                            return
                    else:
                        for delivery in batch:
                            self._settle_until_done([delivery])
                        return
                    continue
                failures += 1
                self._app.events.emit([ServiceFailed("ledger", "settle", str(error))])
                pause = min(2.0, 0.05 * 2.0 ** min(failures, 8)) * (0.5 + self._app.clock.rng.random())
                self._quitting.wait(pause)

    def _settle(self, batch: list[Delivery]) -> None:
        app = self._app
        began = app.clock.monotonic()
        endings = {one.ending.claim.token: one for one in batch if one.ending is not None and one.settled is None}
        unstarted = [(one.claim.run_id, one.claim.token) for one in batch if one.ending is None]
        settled: list[tuple[Ending, Settled]] = []
        refused: list[Ending] = []
        freed: list[Freed] = []
        if len(endings) > 0 and app.database.dialect == "postgresql":
            self._settle_plain(endings, began)
        if endings or unstarted:
            with app.database.write() as connection:
                settled, refused = settle(
                    connection,
                    [one.ending for one in endings.values() if one.ending is not None],
                    worker=self._worker,
                    poison_after=app.settings.poison_after,
                    monotonic=began,
                )
                freed = give_back(connection, unstarted)
                if freed or any(one.state is RunState.QUEUED or one.followed_by for _, one in settled):
                    app.database.ring(connection)
        # Committed. From here on nothing may fail the batch.
        for delivery in batch:
            self._holdings.drop(delivery.claim.token)
            self._marks.clear(delivery.mark)
            if delivery.settled is not None and delivery.ending is not None:
                settled.append((delivery.ending, delivery.settled))
        try:
            self._tell(settled, refused, freed, app.clock.monotonic() - began)
        except Exception:
            log.exception("Telling of settled attempts failed.")
        for delivery in batch:
            if delivery.ending is not None:
                # Its frames hold what the job held, and this thread holds its last batch until the next.
                delivery.ending.error = None

    def _settle_plain(self, endings: dict[UUID, Delivery], began: float) -> None:
        """Settle the plain successes among ``endings`` by one statement, and take them out."""
        plain = {}
        for one in endings.values():
            if one.ending is not None and is_plain(one.ending):
                plain[one.claim.run_id.int] = one.ending
        if not plain:
            return
        try:
            with self._app.database.direct() as connection:
                done = settle_plain(connection, list(plain.values()), worker=self._worker, monotonic=began)
        except LedgerRefused:
            # One row among them, such as a foreign one with an attempt's number. The careful way ends each of them.
            log.warning("The ledger refused plain successes, which are settled with care.", exc_info=True)
            return
        for ending, settled in done:
            endings.pop(ending.claim.token).settled = settled

    def _tell(
        self, settled: list[tuple[Ending, Settled]], refused: list[Ending], freed: list[Freed], seconds: float
    ) -> None:
        app = self._app
        took: dict[tuple[str, str], list[float]] = {}
        for ending, _ in settled:
            took.setdefault((ending.claim.queue, ending.claim.kind), []).append(ending.elapsed_seconds)
        self._pace.note(took)
        if app.ready is not None:
            back = [
                ReadyEntry(one.run_id, one.queue, one.priority, one.retry_at)
                for _, one in settled
                if one.state is RunState.QUEUED
            ]
            followed = [after for _, one in settled for after in one.followed_by]
            back += [ReadyEntry(one.run_id, one.queue, one.priority, one.run_at) for one in [*freed, *followed]]
            announce(app, back)
        app.events.emit([BatchSettled(len(settled), seconds)])
        if settled and app.events.wants(AttemptEnded):
            app.events.emit([_event(ending, one) for ending, one in settled])
        if refused:
            app.events.emit(
                [ResultRefused(one.claim.run_id, one.claim.kind, one.claim.attempt, one.outcome) for one in refused]
            )

    def _strip(self, delivery: Delivery, refusal: Exception) -> bool:
        """Take from an ending what the ledger may be unable to hold. Whether there was anything to take.

        What was checked before should have said so: this is the last look, so that there is an ending at all.
        """
        ending = delivery.ending
        if ending is None or (ending.failure and ending.failure.message == _UNRECORDABLE):
            return False
        if ending.then or ending.completes or ending.arguments is not None:
            # A success without what was to follow would be none.
            ending.then, ending.completes, ending.arguments, ending.result = (), (), None, None
            if ending.outcome is Outcome.SUCCEEDED:
                ending.outcome, ending.cause = Outcome.FAILED, Cause.BAD_ARGUMENTS
                why = storable(f"What was to follow cannot be recorded: {refusal}")[:MAX_MESSAGE]
                ending.failure = Failure.told(delivery.claim.kind, "Unrecordable", why)
            return True
        if ending.outcome is Outcome.SUCCEEDED:
            had, ending.result = ending.result, None
            return had is not None
        ending.failure = Failure.told(delivery.claim.kind, "Unrecordable", _UNRECORDABLE)
        return True

    def _let_go(self, delivery: Delivery) -> None:
        """Its bare ending is refused too: the lease runs out, and upkeep ends the attempt as abandoned."""
        claim = delivery.claim
        log.critical("An ending cannot be recorded.", extra={"run_id": str(claim.run_id), "kind": claim.kind})
        self._holdings.leave(claim.token)
        self._marks.clear(delivery.mark)


def _event(ending: Ending, settled: Settled) -> AttemptEnded:
    claim, failure = ending.claim, ending.failure
    return AttemptEnded(
        run_id=settled.run_id,
        kind=settled.kind,
        queue=settled.queue,
        attempt=settled.attempt,
        outcome=settled.outcome,
        state=settled.state,
        cause=settled.cause,
        started_at=settled.started_at,
        elapsed_seconds=ending.elapsed_seconds,
        waited_seconds=max(0.0, (settled.started_at - claim.run_at).total_seconds()),
        correlation_id=claim.correlation_id,
        retry_at=settled.retry_at,
        error_type=failure.type if failure else None,
        error_message=failure.message if failure else None,
        fingerprint=failure.fingerprint if failure else None,
        error=ending.error,
        schedule=claim.schedule,
        scheduled_for=claim.scheduled_for,
    )
