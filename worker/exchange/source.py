"""Sources of claims. They wait for work, and query the ledger no more often than necessary."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from jobs.app import App
from jobs.database.direct_statements import DirectConnection, Runner
from jobs.database.own_connection import OwnConnection
from jobs.errors import LedgerRefused
from jobs.events import ServiceFailed
from jobs.formats.queue_weights import Served
from jobs.ledger.fairness.claim import claim_due_in_turn, claim_in_turn
from jobs.ledger.records import Claim
from jobs.ledger.runs.claim import (
    Place,
    candidates,
    claim,
    claim_direct,
    claim_due_direct,
    due_candidates,
    seconds_until_due,
    seconds_until_due_direct,
)
from worker.exchange.admission import Admission
from worker.exchange.claim_places import ClaimPlaces
from worker.exchange.queue_turns import Turns
from worker.exchange.wakeups import Wakeup

HEAD_START_SECONDS = 0.002
"""How long the runs that were just claimed have the processor to themselves before this thread asks the ledger when
the next one is due. Source: decision; a thread starts its run within a millisecond."""

MARGIN_SECONDS = 0.05
"""By how much a claim may have reached the ledger sooner than a later question. Source: decision; many round trips."""


class Source(Protocol):
    """Something that claims due runs."""

    def queues(self) -> Sequence[str]:
        """The queues served, in order."""
        ...

    def claim(self, count: int, *, wait_seconds: float, kinds: Sequence[str] | None = None) -> list[Claim]:
        """Up to ``count`` claims of these kinds (None: all known kinds). Waits for the first at most ``wait_seconds``.

        Runs of other kinds keep their places. After a call that found nothing, further calls are cheap until
        something changes.

        Raises:
            ServiceDown: the ledger does not answer.
        """
        ...

    def close(self) -> None: ...


class LedgerSource:
    """Claims from the ledger directly. When no run is due, it waits for a change or for the next due moment.

    On PostgreSQL a claim is one statement for all queues, which commits by itself.

    Args:
        own: the connection of the thread that claims; without it, each claim takes one from the pool.
    """

    def __init__(
        self,
        app: App,
        *,
        queues: Sequence[str],
        kinds: Sequence[str],
        worker: str,
        wakeup: Wakeup,
        turns: Turns | None = None,
        own: OwnConnection | None = None,
    ) -> None:
        self._app = app
        self.turns = turns or Turns([Served(queue) for queue in queues])
        self._queues = tuple(queues)
        self._kinds = tuple(kinds)
        self._worker = worker
        self._wakeup = wakeup
        self._own = own
        self._dry: set[Sequence[str] | None] = set()
        self._due_at: float | None = None
        self._knows_due = False
        self._looked_at = 0.0
        self._admission = Admission(app, kinds, worker=worker, own=own)
        self._places = ClaimPlaces(app.clock)

    @property
    def takes_turns(self) -> bool:
        """Whether a claim of ids may take other runs instead."""
        return self._admission.takes_turns

    @property
    def parked_without_time(self) -> Collection[UUID]:
        """The runs that the last claim parked and that time alone does not make ready."""
        return self._admission.parked_without_time

    def queues(self) -> Sequence[str]:
        return self._queues

    def claim(self, count: int, *, wait_seconds: float, kinds: Sequence[str] | None = None) -> list[Claim]:
        if kinds in self._dry:
            if not self._is_time(wait_seconds):
                return []
            self._dry.clear()
        wanted = self._kinds if kinds is None else kinds
        order = self.turns.order()
        self._looked_at = self._app.clock.monotonic()
        try:
            claims = self._claim_in_order(order, count, wanted)
            self.turns.took(order, (one.queue for one in claims), count=count)
        except LedgerRefused:
            if len(self._queues) == 1:
                raise
            claims = self._claim_apart(count, wanted)
        if claims:
            self._wakeup.found()
        # If it parked some, others may be due behind them.
        if (
            not claims or (len(claims) < count and self._wakeup.reports_every_change)
        ) and not self._admission.has_parked:
            # Whatever comes now wakes it, so it need not look a second time.
            self._dry.add(kinds)
            self._knows_due = False
        return claims

    def claim_ids(self, run_ids: Sequence[UUID], kinds: Sequence[str] | None = None) -> list[Claim]:
        """Claim those of these runs that are due and of these kinds (None: all known kinds)."""
        wanted = self._kinds if kinds is None else kinds
        given: dict[str, Any] = {"kinds": wanted, "worker": self._worker, "lease": self._app.settings.lease}
        if self._admission.is_needed:
            return self._admission.claim(partial(_claim_ids_on, run_ids=run_ids, given=given, in_turn=self.takes_turns))
        if self._app.database.dialect == "postgresql":
            with self._direct() as direct:
                return claim_direct(direct, run_ids, **given)
        with self._app.database.write() as connection:
            return claim(connection, run_ids, **given)

    def close(self) -> None:
        self._wakeup.close()
        if self._own is not None:
            self._own.close()

    @contextmanager
    def _direct(self) -> Iterator[DirectConnection]:
        """A connection for direct statements. PostgreSQL only."""
        database = self._app.database
        with database.translated(), self._own.opened() if self._own else database.direct() as connection:
            yield connection

    def _claim_in_order(self, order: Sequence[str], count: int, kinds: Sequence[str]) -> list[Claim]:
        given: dict[str, Any] = {"kinds": kinds, "worker": self._worker, "lease": self._app.settings.lease}
        if self._admission.is_needed:
            claim_some = partial(_claim_on, order=order, given=given, in_turn=self.takes_turns)
            return self._admission.claim_until_some(claim_some, count)
        if self._app.database.dialect == "postgresql":
            if kinds is not self._kinds:
                return self._claim_directly(order, count, {}, given)
            return self._claim_from_places(order, count, given)
        # In one transaction for all queues, so that no claim is lost if the ledger goes down between two queues.
        with self._app.database.write() as connection:
            return _claim_on(connection, count, order=order, given=given)

    def _claim_from_places(self, order: Sequence[str], count: int, given: dict[str, Any]) -> list[Claim]:
        """Claim from where the last claim ended, if it got all it asked for; and from the start, if that is not enough.

        If the ledger goes down between the two, nobody knows the claims of the first: the fetcher releases them.
        """
        places = self._places.now()
        claims = self._claim_directly(order, count, places, given)
        if places and len(claims) < count:
            self._places.forget()
            try:
                claims += self._claim_directly(order, count - len(claims), {}, given)
            except LedgerRefused:
                if not claims:
                    raise
        if len(claims) == count:
            self._places.came_to(claims)
        else:
            self._places.forget()
        return claims

    def _claim_directly(
        self, order: Sequence[str], count: int, places: Mapping[str, Place], given: dict[str, Any]
    ) -> list[Claim]:
        with self._direct() as direct:
            return claim_due_direct(direct, order, count=count, places=places, **given)

    def _claim_apart(self, count: int, kinds: Sequence[str]) -> list[Claim]:
        """One transaction per queue, so that an error with one queue does not stop the others.

        Raises:
            LedgerRefused: the ledger refused the claim from one queue, and no other queue had runs.
        """
        claims: list[Claim] = []
        refused: LedgerRefused | None = None
        for queue in self.turns.order():
            if len(claims) < count:
                try:
                    claims += self._claim_in_order([queue], count - len(claims), kinds)
                except LedgerRefused as error:
                    refused = error
                    self._app.events.emit([ServiceFailed("ledger", "claim", f"Queue {queue}: {error}")])
        if refused is not None and not claims:
            raise refused
        return claims

    def _is_time(self, wait_seconds: float) -> bool:
        """Wait for a change, or for the next due moment. Returns whether one of them came."""
        if not self._knows_due:
            # The runs that were just claimed start first: this thread only prepares a later wait.
            pause = min(wait_seconds, HEAD_START_SECONDS)
            if self._wakeup.wait_for_change(pause):
                return True
            wait_seconds -= pause
            self._read_due()
        if self._due_at is not None:
            until_due = self._due_at - self._app.clock.monotonic()
            if until_due <= wait_seconds:
                self._wakeup.wait_for_change(max(0.0, until_due))
                return True
        return self._wakeup.wait_for_change(wait_seconds)

    def _read_due(self) -> None:
        """Ask the ledger when the next run becomes due, or has become due since the last claim."""
        began = self._app.clock.monotonic()
        ago = began - self._looked_at + MARGIN_SECONDS
        if self._app.database.dialect == "postgresql":
            with self._direct() as direct:
                until_due = seconds_until_due_direct(direct, self._queues, since_seconds=ago)
        else:
            with self._app.database.read() as connection:
                spans = [seconds_until_due(connection, queue, since_seconds=ago) for queue in self._queues]
            until_due = min((one for one in spans if one is not None), default=None)
        # The ledger's time, converted to the monotonic clock: this machine's clock may be wrong by hours.
        self._due_at = None if until_due is None else began + until_due
        self._knows_due = True


def _claim_ids_on(runner: Runner, *, run_ids: Sequence[UUID], given: dict[str, Any], in_turn: bool) -> list[Claim]:
    if isinstance(runner, DirectConnection) or not in_turn:
        return candidates(runner, run_ids, **given)
    return claim_in_turn(runner, run_ids, **given)


def _claim_on(
    runner: Runner, count: int, *, order: Sequence[str], given: dict[str, Any], in_turn: bool = False
) -> list[Claim]:
    if isinstance(runner, DirectConnection) or not in_turn:
        return due_candidates(runner, order, count=count, **given)
    claims: list[Claim] = []
    for queue in order:
        claims += claim_due_in_turn(runner, queue, count=count - len(claims), **given)
        if len(claims) >= count:
            break
    return claims
