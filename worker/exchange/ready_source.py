"""Ready source: claims the runs that the ready index names, or polls the ledger while the index is down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from jobs.app import App
from jobs.enqueue.publish import announce
from jobs.errors import JobsError, ServiceDown
from jobs.events import ServiceFailed
from jobs.ledger.queries.reports import paused_queues
from jobs.ledger.queries.waiting import Unclaimed, unclaimed
from jobs.ledger.records import Claim
from jobs.ready.protocol import ReadyEntry, ReadyIndex
from worker.exchange.index_scan import SCAN_PAUSE, SCAN_SIZE, IndexScan
from worker.exchange.source import LedgerSource

UNKNOWN_KIND_PAUSE = timedelta(seconds=2)
"""How long a run of a kind that is unknown here is hidden, so that a worker that knows the kind takes it."""
LOCKED_PAUSE = timedelta(seconds=0.2)
PAUSED_POLL_SECONDS = 2.0
"""How often a worker checks whether a paused queue was resumed; only while one of its queues is paused."""

_A_LOOK = 0.001
"""Seconds; a very short wait that still causes a new read of the ledger."""


class ReadySource:
    """Takes ids from the index and claims them by primary key. For a claim of some kinds, it only reads the index.

    An id that was taken but not claimed goes back to the index if its run still waits. Ids that could not be claimed
    because the ledger was down are kept here and claimed first.

    Args:
        ledger: the source to use while the index is down, and afterwards until it finds nothing.
        on_loss: called when the index has lost its contents.
        on_nothing: called when a take found nothing.
    """

    def __init__(
        self,
        app: App,
        index: ReadyIndex,
        ledger: LedgerSource,
        *,
        kinds: Sequence[str],
        worker: str,
        on_loss: Callable[[], None],
        on_nothing: Callable[[], None] = lambda: None,
    ) -> None:
        self._app = app
        self._index = index
        self._ledger = ledger
        self._kinds = tuple(kinds)
        self._worker = worker
        self._on_loss = on_loss
        self._on_nothing = on_nothing
        self._taken: list[UUID] = []
        self._paused: set[str] = set()
        self._look_at_paused = 0.0
        self._is_catching_up = False
        self._scans: dict[tuple[str, ...], IndexScan] = {}

    def queues(self) -> Sequence[str]:
        return self._ledger.queues()

    def claim(self, count: int, *, wait_seconds: float, kinds: Sequence[str] | None = None) -> list[Claim]:
        if self._taken:
            return self._claim_taken(kinds)
        if self._is_catching_up:
            claims = self._ledger.claim(count, wait_seconds=_A_LOOK, kinds=kinds)
            if claims:
                return claims
        scan = None if kinds is None else self._scans.setdefault(tuple(kinds), IndexScan(self._app.clock))
        order = self._open_queues()
        try:
            if scan is None:
                taken = self._index.take(order, count, wait_seconds=wait_seconds)
                self._ledger.turns.took(order, (queue for _, queue in taken.runs), count=count)
            else:
                taken = self._index.peek(order, SCAN_SIZE, skip=scan.skip)
        except ServiceDown as error:
            if not self._is_catching_up:
                self._app.events.emit([ServiceFailed("ready", "take", str(error))])
            self._is_catching_up = True
            return self._ledger.claim(count, wait_seconds=wait_seconds, kinds=kinds)
        self._is_catching_up = False
        if not taken.is_intact:
            self._on_loss()
        if scan is not None and kinds is not None:
            claims = self._claim_seen(scan.unknown(taken.runs), count, kinds, scan)
            if not claims:
                scan.go_on(len(taken.runs))
                self._app.clock.sleep(min(wait_seconds, SCAN_PAUSE))
            return claims
        self._taken = [run_id for run_id, _ in taken.runs]
        if not self._taken:
            self._on_nothing()
            return []
        return self._claim_taken(kinds)

    def close(self) -> None:
        """Give the ids that were taken and never claimed back to the index."""
        if self._taken:
            with self._app.database.read() as connection:
                self._return(unclaimed(connection, self._taken))
            self._taken = []
        self._ledger.close()

    def _claim_seen(
        self, seen: Sequence[tuple[UUID, str]], count: int, kinds: Sequence[str], scan: IndexScan
    ) -> list[Claim]:
        """Claim the runs of these kinds that a read of the index finds; leave the others in the index."""
        if not seen:
            return []
        with self._app.database.read() as connection:
            waiting = unclaimed(connection, [run_id for run_id, _ in seen])
        wanted = {one.run_id for one in waiting if one.kind in kinds and not one.is_paused and one.run_at <= one.now}
        scan.pass_over(run_id for run_id, _ in seen if run_id not in wanted)
        first = [one for one in seen if one[0] in wanted][:count]
        claims = self._ledger.claim_ids([run_id for run_id, _ in first], kinds)
        claimed = {one.run_id for one in claims}
        scan.pass_over(run_id for run_id, _ in first if run_id not in claimed)
        try:
            self._index.forget([one for one in first if one[0] in claimed])
        except ServiceDown as error:
            # They are claimed: another worker that takes them from the index is refused.
            self._app.events.emit([ServiceFailed("ready", "take", str(error))])
        return claims

    def _claim_taken(self, kinds: Sequence[str] | None) -> list[Claim]:
        claims = self._ledger.claim_ids(self._taken, kinds)
        left: list[UUID] = []
        if len(claims) < len(self._taken) or self._ledger.takes_turns:
            # Whoever gives a parked run its slot publishes it.
            done = {*(one.run_id for one in claims), *self._ledger.parked_without_time}
            left = [one for one in self._taken if one not in done]
        self._taken = []
        if left:
            self._look_at(left)
        return claims

    def _look_at(self, left: Sequence[UUID]) -> None:
        """Give ids whose runs still wait back to the index. Must not raise: other claims of the batch are committed."""
        try:
            with self._app.database.read() as connection:
                passed_over = unclaimed(connection, left)
        except JobsError as error:
            # Reconciliation finds them again once they are overdue.
            self._app.events.emit([ServiceFailed("ledger", "claim", str(error))])
            return
        self._return(passed_over)

    def _return(self, runs: Sequence[Unclaimed]) -> None:
        if not runs:
            return
        paused = {one.queue for one in runs if one.is_paused}
        if paused:
            self._paused |= paused
            self._look_at_paused = self._app.clock.monotonic() + PAUSED_POLL_SECONDS
        entries = [ReadyEntry(one.run_id, one.queue, one.priority, self._again_at(one)) for one in runs]
        # With the ledger's time, since ``run_at`` is by its clock: the index waits for the difference.
        announce(self._app, entries, now=runs[0].now)

    def _again_at(self, one: Unclaimed) -> datetime:
        if one.run_at > one.now or one.is_paused:
            return one.run_at
        return one.now + (LOCKED_PAUSE if one.kind in self._kinds else UNKNOWN_KIND_PAUSE)

    def _open_queues(self) -> list[str]:
        if self._paused and self._app.clock.monotonic() >= self._look_at_paused:
            with self._app.database.read() as connection:
                self._paused = paused_queues(connection)
            self._look_at_paused = self._app.clock.monotonic() + PAUSED_POLL_SECONDS
        return [queue for queue in self._ledger.turns.order() if queue not in self._paused]
