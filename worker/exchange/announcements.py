"""Announcements: what the settler tells others of recorded attempts, once their ends are committed."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from jobs.app import App
from jobs.definition.breakers import Slice
from jobs.enqueue.publish import announce, entries_after, entries_of
from jobs.events import AttemptEnded, BatchSettled, BreakerClosed, BreakerOpened, ResultRefused
from jobs.ledger.records import AttemptResult, BreakerChange, Freed, RecordedAttempt
from worker.attempt.ended_event import ended_event
from worker.exchange.prefetch import PrefetchLimit

log = logging.getLogger("jobs.worker")


@dataclass(slots=True)
class RecordedBatch:
    """What one batch has changed; ``seconds`` is how long it took."""

    settled: list[tuple[AttemptResult, RecordedAttempt]] = field(default_factory=list)
    refused: Sequence[AttemptResult] = ()
    freed: Sequence[Freed] = ()
    seconds: float = 0.0


class Announcements:
    """Tells the prefetch limit, the ready index and the subscribers of events. Never raises.

    The settler's own work takes half as long as its statement. So while more results wait, it leaves a batch of plain
    successes until the server works on the next one: nothing but logs and counts depends on them.
    """

    def __init__(self, app: App, prefetch_limit: PrefetchLimit) -> None:
        self._app = app
        self._prefetch_limit = prefetch_limit
        self._left: RecordedBatch | None = None
        self.on_open: Callable[[Collection[Slice]], None] = lambda slices: None

    def later(self, batch: RecordedBatch) -> None:
        """Announce the batch with the next call of ``catch_up``."""
        self.catch_up()
        self._left = batch

    def catch_up(self) -> None:
        """Announce the batch that was left, if there is one."""
        left, self._left = self._left, None
        if left is not None:
            self.now(left)

    def now(self, batch: RecordedBatch) -> None:
        """Announce the batch."""
        try:
            self._announce(batch)
        except Exception:
            log.exception("Announcing settled attempts failed")

    def _announce(self, batch: RecordedBatch) -> None:
        app, settled = self._app, batch.settled
        took: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        for attempt_result, one in settled:
            took[one.queue, one.kind].append(attempt_result.elapsed_seconds)
        self._prefetch_limit.record(took)
        if app.ready is not None:
            announce(app, entries_after(one for _, one in settled) + entries_of(batch.freed))
        app.events.emit([BatchSettled(len(settled), batch.seconds)])
        if settled and app.events.has_subscriber(AttemptEnded):
            app.events.emit([ended_event(attempt_result, one) for attempt_result, one in settled])
        changes = changes_of(one for _, one in settled)
        if changes:
            self.on_open({Slice(change.name, change.digest) for change in changes if change.is_open})
            app.events.emit([breaker_event(change) for change in changes if change.is_news])
        if batch.refused:
            app.events.emit(
                [
                    ResultRefused(one.claim.run_id, one.claim.kind, one.claim.attempt, one.outcome)
                    for one in batch.refused
                ]
            )


def changes_of(settled: Iterable[RecordedAttempt]) -> list[BreakerChange]:
    """The breakers that these attempts found open, opened or closed."""
    return [change for one in settled for change in one.breakers]


def breaker_event(change: BreakerChange) -> BreakerOpened | BreakerClosed:
    """The event of a committed change."""
    if not change.is_open:
        return BreakerClosed(change.name, change.kind, change.freed)
    return BreakerOpened(
        change.name,
        change.kind,
        change.is_again,
        change.fingerprint,
        change.error_type,
        change.failures,
        change.probe_at,
    )
