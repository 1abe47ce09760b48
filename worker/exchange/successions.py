"""Successions: when attempts of kinds with limits end, parked runs take their slots, and some start here at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta

from jobs.app import App
from jobs.database.direct_statements import DirectConnection
from jobs.errors import JobsError
from jobs.ledger.limits.counts import Key
from jobs.ledger.limits.exchange import Successors
from jobs.ledger.limits.reassign import left_parked, reassign
from jobs.ledger.records import AttemptResult, Claim, Freed
from jobs.ledger.runs.settle_plain import LimitedSettled, settle_limited
from worker.exchange.admission import has_one_limit
from worker.exchange.claim_buffer import ClaimBuffer
from worker.exchange.prefetch import MAX_BATCH, WORTH_A_THREAD, PrefetchLimit


class SuccessorPlan:
    """Which parked runs a process may claim as its attempts end: for threads that find nothing else to do.

    Runs that would wait for a thread are left to other processes, unless they are so short that a claim takes longer.
    """

    def __init__(
        self,
        buffer: ClaimBuffer,
        prefetch_limit: PrefetchLimit,
        threads: int,
        queues: Sequence[str],
        not_now: Callable[[], Sequence[str]],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._buffer = buffer
        self._prefetch_limit = prefetch_limit
        self._threads = threads
        self._kinds: Sequence[str] = ()
        self._queues = queues
        self._not_now = not_now
        self._is_stopping = is_stopping

    def of(self, kinds: Iterable[str]) -> SuccessorPlan:
        """The same, of these kinds as far as a single limit is all that their runs need."""
        self._kinds = [kind for kind in kinds if has_one_limit(kind)]
        return self

    def wanted(self, lease: timedelta) -> Successors | None:
        """They, as of now; None: none."""
        kinds = [kind for kind in self._kinds if kind not in self._not_now()] if self._kinds else ()
        if not kinds or self._is_stopping():
            return None
        most = self._threads - self._buffer.busy - len(self._buffer)
        if self._prefetch_limit.typical_seconds(self._queues) < WORTH_A_THREAD:
            most += self._prefetch_limit.ahead(self._queues)
        return Successors(min(most, MAX_BATCH), kinds, self._queues, lease) if most > 0 else None


class Successions:
    """For the thread that settles. PostgreSQL only."""

    def __init__(self, app: App, *, worker: str) -> None:
        self._app = app
        self._worker = worker
        self._claiming = threading.Lock()
        self.plan: SuccessorPlan | None = None
        self.on_started: Callable[[list[Claim]], None] = lambda claims: None
        self.is_hungry = False
        """Whether the last claim of this process left room, because it found fewer runs or parked some."""
        self.is_in_doubt = False
        """Whether the ledger may hold claims from here that this process does not know."""

    def resolve(self, release: Callable[[], None]) -> None:
        """Release the claims that this process does not know; none is under way meanwhile."""
        with self._claiming:
            release()
            self.is_in_doubt = False

    def settle(self, direct: DirectConnection, limited: Sequence[AttemptResult], began: float) -> LimitedSettled:
        """Settle plain successes, and claim parked runs in their place as far as threads need some."""
        with self._claiming:
            wanted = self.plan.wanted(self._app.settings.lease) if self.plan is not None and self.is_hungry else None
            try:
                done = settle_limited(
                    direct,
                    limited,
                    worker=self._worker,
                    monotonic=began,
                    successors=wanted,
                    notifies=self._app.database.sends_notify,
                )
            except BaseException:
                self.is_in_doubt |= wanted is not None
                raise
            if done.started:
                self.on_started(done.started)
        return done

    def reassign(
        self, open_direct: Callable[[], AbstractContextManager[DirectConnection]], keys: Sequence[Key]
    ) -> list[Freed]:
        """After the commit: hand on slots that nobody took, if a claim has parked a run of these keys meanwhile.

        The ends are committed, so if the ledger does not answer, the sweep does it.
        """
        if not keys:
            return []
        try:
            with open_direct() as direct:
                parked = left_parked(direct, keys)
            if not parked:
                return []
            with self._app.database.write() as connection:
                freed = reassign(connection, parked)
                if freed:
                    self._app.database.send_notify(connection)
            return freed
        except JobsError:
            return []
