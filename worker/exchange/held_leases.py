"""Held leases: the claims whose leases this process renews, until their settlement has committed."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from jobs.ledger.records import Claim


class HeldLeases:
    """Claims by token. Uses single dict operations only, which are atomic and need no lock."""

    def __init__(self) -> None:
        # By the token's number, because Python computes the hash of a UUID in code of its own.
        self._held: dict[int, Claim] = {}
        self._left: set[UUID] = set()

    def __len__(self) -> int:
        return len(self._held)

    def add(self, claims: Iterable[Claim]) -> None:
        for claim in claims:
            self._held[claim.token.int] = claim

    def drop(self, token: UUID) -> Claim | None:
        """Remove a claim that is settled, given back or lost."""
        return self._held.pop(token.int, None)

    def leave(self, token: UUID) -> None:
        """Stop renewing a lease whose attempt has not ended, so that it expires and upkeep ends the attempt."""
        self._left.add(token)
        self.drop(token)

    def known(self) -> set[UUID]:
        """The tokens of all claims made here that may not have ended."""
        return self._left | {one.token for one in self.all()}

    def all(self) -> list[Claim]:
        return list(self._held.values())
