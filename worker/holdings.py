"""Holdings: the claims whose leases this process keeps, from the claim until the settlement has committed."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from jobs.ledger.records import Claim


class Holdings:
    """Claims by token. Single dict operations only: they are atomic, and no thread waits for another."""

    def __init__(self) -> None:
        self._held: dict[UUID, Claim] = {}

    def __len__(self) -> int:
        return len(self._held)

    def add(self, claims: Iterable[Claim]) -> None:
        for claim in claims:
            self._held[claim.token] = claim

    def drop(self, token: UUID) -> Claim | None:
        """Forget a claim: it is settled, given back or lost."""
        return self._held.pop(token, None)

    def all(self) -> list[Claim]:
        return list(self._held.values())
