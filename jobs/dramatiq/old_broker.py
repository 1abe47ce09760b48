"""What an import reads its messages from: the broker that a dramatiq application used before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from jobs.ready.dramatiq_queues import OldQueue


class OldBroker(Protocol):
    """The messages of one broker. ``namespace`` tells its messages from those of others on the same server.

    A message has an id, which is the same each time that it is read.

    Every method raises ``ServiceDown`` if the server does not answer.
    """

    namespace: str

    @property
    def shown(self) -> str:
        """The location, without a password."""
        ...

    def wrong_keys(self) -> list[tuple[str, str, str]]:
        """What cannot be read: the queue's name, the place, and the problem."""
        ...

    def take_back(self, *, now: datetime) -> int:
        """Put the messages of dead workers back in their queues; returns their number."""
        ...

    def queues(self) -> list[OldQueue]:
        """Every queue that is not empty; delayed messages are a queue of their own."""
        ...

    def take(self, name: str, *, skip: int, count: int) -> list[tuple[bytes, bytes | None]]:
        """Set up to ``count`` messages aside, after the ``skip`` that are aside already: ids and messages."""
        ...

    def look(self, name: str, *, skip: int, count: int) -> list[tuple[bytes, bytes | None]]:
        """The messages after the first ``skip``, which all stay where they are."""
        ...

    def drop(self, name: str, ids: Sequence[bytes]) -> None:
        """Delete messages that are aside, because they are in the ledger."""
        ...

    def give_back(self, name: str) -> None:
        """Put what is still aside back into its queue."""
        ...

    def dead(self, name: str, *, skip: int, count: int) -> list[tuple[bytes, bytes | None, float]]:
        """Dead letters after the first ``skip``: ids, messages, moments in milliseconds."""
        ...

    def drop_dead(self, name: str, ids: Sequence[bytes]) -> None:
        """Delete dead letters, because they are in the ledger."""
        ...

    def close(self) -> None: ...
