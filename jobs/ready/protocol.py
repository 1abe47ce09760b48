"""The protocol of a ready index: it hints at runs that may be ready; the ledger decides.

An index holds ids, never arguments. It may lose an id (``reconcile`` then adds it again), name one that is not ready
(its claim is then refused), or vanish. It cannot make a run be lost or performed twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID


class ReadyEntry(NamedTuple):
    """A run that is ready at ``run_at`` (None: now). The smaller ``priority``, -1000 to 1000, goes first."""

    run_id: UUID
    queue: str
    priority: int = 0
    run_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReadyBatch:
    """The result of a take: runs and their queues, in the order in which to start them.

    ``is_intact`` is False if the index has lost its entries, as seen at most a second ago.
    """

    runs: tuple[tuple[UUID, str], ...]
    is_intact: bool


class ReadyIndex(Protocol):
    """Every method may raise ``ServiceDown``; the caller decides whether that matters. No method repeats a command."""

    def add(self, entries: Sequence[ReadyEntry], *, now: datetime | None = None) -> None:
        """Add runs. An id is in the index once, however often it is added; added again, it keeps its position.

        Args:
            now: the current moment by the clock that ``run_at`` was made with. An index with a clock of its own then
                waits for the difference. Pass it at least when a claim was refused as not yet due: if the two clocks
                disagree, the run would otherwise go back and forth until it is due.
        """
        ...

    def take(self, queues: Sequence[str], count: int, *, wait_seconds: float) -> ReadyBatch:
        """Remove and return up to ``count`` due runs; wait this long for the first (0: not at all).

        Serves the queues strictly in the given order; within one, by priority, then by ``run_at``, then by id. An entry
        that is taken and then lost comes back only through ``add``. For one thread at a time.
        """
        ...

    def peek(self, queues: Sequence[str], count: int, *, skip: int) -> ReadyBatch:
        """Up to ``count`` runs that a take would return, in its order, after the first ``skip``; they stay there.

        Does not wait. For the thread that takes.
        """
        ...

    def forget(self, runs: Iterable[tuple[UUID, str]]) -> None:
        """Remove runs, given with their queues, that need not be performed any more."""
        ...

    def is_intact(self) -> bool:
        """Whether the index still has all entries since ``mark_intact``, as far as it can know."""
        ...

    def mark_intact(self) -> bool:
        """Mark the index as intact. True if this call set the mark: the caller must then add every waiting run.

        The mark comes first, so that a loss meanwhile shows, and only one of many processes does the work.
        """
        ...

    def probe(self) -> None:
        """Perform each operation of adders and takers once, on own entries that are removed afterwards."""
        ...

    def wipe(self) -> None:
        """Remove everything, the mark included."""
        ...

    def close(self) -> None: ...
