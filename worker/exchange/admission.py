"""Claims of kinds with limits: admitted or parked in the transaction that claims, published after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jobs.app import App
from jobs.database.sql import Executor
from jobs.definition.limits import limited_kinds, limits_of
from jobs.enqueue.publish import announce, entries_of
from jobs.ledger.limits.admit import admit
from jobs.ledger.limits.counts import Key, declare
from jobs.ledger.limits.sweep import hand_on_all
from jobs.ledger.records import Claim, Freed

MAX_ROUNDS = 20
"""Most claims in a row of which every run was parked, before the caller gets a turn. Source: decision; 20 batches."""


class Admission:
    """Runs a source's claims under the limits of their kinds.

    Args:
        kinds: the kinds that the source claims. Without limits among them, a claim is one statement, as ever.
    """

    def __init__(self, app: App, kinds: Sequence[str]) -> None:
        self._app = app
        self._kinds = kinds
        self.has_parked = False
        """Whether the last claim parked runs."""
        self._is_declared = False
        self._known: set[Key] = set()

    @property
    def is_needed(self) -> bool:
        return not limited_kinds.keys().isdisjoint(self._kinds)

    def claim(self, claim: Callable[[Executor], list[Claim]]) -> list[Claim]:
        """Those of the claims that ``claim`` makes on a connection that have room; the others are parked."""
        if not self._is_declared:
            self._declare()
        with self._app.database.write() as connection:
            admitted = admit(connection, claim(connection), known=self._known)
            if admitted.freed:
                self._app.database.send_notify(connection)
        announce(self._app, entries_of(admitted.freed))
        self.has_parked = admitted.parked > 0
        return admitted.claims

    def claim_until_some(self, claim: Callable[[Executor], list[Claim]]) -> list[Claim]:
        """The same; if all were parked, again, because others may be due behind them."""
        for _ in range(MAX_ROUNDS):
            claims = self.claim(claim)
            if claims or not self.has_parked:
                return claims
        return []

    def _declare(self) -> None:
        """Record what the code of this process declares; a limit that grew has room for parked runs."""
        freed: list[Freed] = []
        with self._app.database.write() as connection:
            for name in declare(connection, limits_of(self._kinds)):
                freed += hand_on_all(connection, name)
            if freed:
                self._app.database.send_notify(connection)
        self._is_declared = True
        announce(self._app, entries_of(freed))
