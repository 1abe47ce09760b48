"""Claims of kinds with limits or a breaker: admitted or parked in the transaction that claims, published after it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from uuid import UUID

from jobs.app import App
from jobs.database.direct_statements import DirectConnection, Runner
from jobs.database.own_connection import OwnConnection
from jobs.definition.breakers import Slice, breakers_of, guarded_kinds, slice_of
from jobs.definition.fairness import fair_kinds
from jobs.definition.limit import Limit
from jobs.definition.limits import limited_kinds, limits_of
from jobs.enqueue.publish import announce, entries_of
from jobs.errors import JobsError
from jobs.ledger.breakers.admit import Passed, hold_back
from jobs.ledger.breakers.slices import declare as declare_breakers
from jobs.ledger.limits.admit import admit
from jobs.ledger.limits.counts import Key, declare, with_room
from jobs.ledger.limits.reassign import reassign
from jobs.ledger.limits.replan import replan
from jobs.ledger.limits.sweep import reassign_all
from jobs.ledger.records import Claim, Freed

MAX_ROUNDS = 20
"""Most claims in a row of which every run was parked, before the caller gets a turn. Source: decision; 20 batches."""


MAX_CLAIMED = 1000
"""Most runs that one claim looks at to park them. Source: decision; some 20 milliseconds."""


class Admission:
    """Runs a source's claims under the limits and breakers of their kinds.

    Args:
        kinds: the kinds that the source claims. Without limits and breakers, a claim is one statement, as ever.
        own: the connection of the thread that claims; without it, each claim takes one from the pool.
    """

    def __init__(self, app: App, kinds: Sequence[str], *, worker: str, own: OwnConnection | None = None) -> None:
        self._app = app
        self._worker = worker
        self._own = own
        self._kinds = kinds
        self.has_parked = False
        """Whether the last claim parked runs."""
        self.parked_without_time: Collection[UUID] = ()
        """The runs that the last claim parked and that time alone does not make ready."""
        self._is_declared = False
        self._known: set[Key] = set()
        self._parked = 0

    @property
    def is_needed(self) -> bool:
        kinds = limited_kinds.keys() | guarded_kinds.keys() | fair_kinds.keys()
        return not kinds.isdisjoint(self._kinds)

    @property
    def takes_turns(self) -> bool:
        """Whether tenants of these kinds take turns."""
        return bool(fair_kinds) and not fair_kinds.keys().isdisjoint(self._kinds)

    def claim(self, claim: Callable[[Runner], list[Claim]], *, at_most: int | None = None) -> list[Claim]:
        """Those of the claims that ``claim`` makes on a connection that have room; the others are parked.

        Args:
            at_most: so many hold; further ones that have room go back to their queues.
        """
        if not self._is_declared:
            self._declare()
        with self._transaction() as runner:
            claims = claim(runner)
            passed = Passed(claims) if isinstance(runner, DirectConnection) else hold_back(runner, claims)
            admitted = admit(
                runner,
                passed.claims,
                worker=self._worker,
                lease=self._app.settings.lease,
                at_most=at_most,
                known=self._known,
            )
            freed = [*passed.freed, *admitted.freed]
            if freed:
                self._app.database.send_notify(runner)
        freed += self._reassign_full(admitted.full)
        announce(self._app, entries_of(freed))
        self._parked = passed.parked + admitted.parked
        self.has_parked = self._parked > 0
        self.parked_without_time = admitted.without_time
        return admitted.claims

    def claim_until_some(self, claim: Callable[[Runner, int], list[Claim]], count: int) -> list[Claim]:
        """Up to ``count``; if all were parked, again, because others may be due behind them.

        While claims are mostly parked it takes more of them: runs on their slots are due behind a backlog.
        """
        for _ in range(MAX_ROUNDS):
            size = min(max(count, 2 * self._parked), max(count, MAX_CLAIMED))
            claims = self.claim(partial(_of_size, claim, size), at_most=count)
            if claims or not self.has_parked:
                return claims
        return []

    def _reassign_full(self, full: Sequence[Key]) -> list[Freed]:
        """Make runs ready that were parked although an attempt ended meanwhile: it did not see them.

        The claims are committed, so if the ledger does not answer, the sweep does it.
        """
        database = self._app.database
        if not full or database.dialect == "sqlite":
            return []
        try:
            with database.translated(), self._own.opened() if self._own else database.direct() as direct:
                roomy = with_room(direct, full)
            if not roomy:
                return []
            with database.write() as connection:
                freed = reassign(connection, roomy)
                if freed:
                    database.send_notify(connection)
            return freed
        except JobsError:
            return []

    @contextmanager
    def _transaction(self) -> Iterator[Runner]:
        """A transaction on the connection of the thread that claims, whose statements are prepared.

        The verbs of breakers and of turns are not among them.
        """
        special = guarded_kinds.keys() | fair_kinds.keys()
        if self._own is None or not special.isdisjoint(self._kinds):
            with self._app.database.write() as connection:
                yield connection
        else:
            with self._app.database.translated(), self._own.transaction() as direct:
                yield direct

    def _declare(self) -> None:
        """Record what the code of this process declares; a limit that grew has room for parked runs, and
        the slots of a rate that changed are planned anew."""
        freed: list[Freed] = []
        with self._app.database.write() as connection:
            declare_breakers(connection, breakers_of(self._kinds))
            for name in declare(connection, limits_of(self._kinds)):
                freed += reassign_all(connection, name)
                freed += replan(connection, (name, ""))
            if freed:
                self._app.database.send_notify(connection)
        self._is_declared = True
        announce(self._app, entries_of(freed))


def has_one_limit(kind: str) -> bool:
    """Whether room in one limit is all that a run of this kind needs."""
    limits = limited_kinds.get(kind, ())
    is_single = len(limits) == 1 and isinstance(limits[0], Limit)
    return is_single and kind not in guarded_kinds and kind not in fair_kinds


def slice_of_claim(claim: Claim) -> Slice | None:
    """The slice of a claimed run; None if its kind has no breaker."""
    if claim.kind not in guarded_kinds or claim.problem is not None:
        return None
    return slice_of(claim.kind, claim.arguments, claim.arguments_version)[0]


def _of_size(claim: Callable[[Runner, int], list[Claim]], size: int, runner: Runner) -> list[Claim]:
    return claim(runner, size)
