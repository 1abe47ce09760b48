"""The protocol of a ready index: it hints at runs that may be ready; the ledger decides.

An index holds ids, never arguments. It may forget an id (then ``reconcile`` brings it back), name one that
is not ready (then its claim is refused), or vanish. It makes no run be lost or performed twice.
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
    """What a take brought: runs and their queues, in the order in which to start them.

    ``is_intact`` is False when the index has lost what it held, as seen at most a second ago.
    """

    runs: tuple[tuple[UUID, str], ...]
    is_intact: bool


class ReadyIndex(Protocol):
    """Every method may raise ``ServiceDown``; the caller decides whether that matters. None tries twice."""

    def add(self, entries: Sequence[ReadyEntry], *, now: datetime | None = None) -> None:
        """Make runs known. An id is there once, however often it is added; ready again, it keeps its place.

        Args:
            now: this moment by the clock that ``run_at`` was made with. An index with a clock of its own
                then waits for the difference. Give it at least when a claim was refused as not yet due:
                between two clocks that disagree, the run would otherwise go to and fro until it is due.
        """
        ...

    def take(self, queues: Sequence[str], count: int, *, wait_seconds: float) -> ReadyBatch:
        """Remove and return up to ``count`` runs that are due, waiting for the first so long (0: not at all).

        The queues are served strictly in the order given; within one, by priority, then by ``run_at``, then
        by id. What is taken and then lost comes back only through ``add``. For one thread at a time.
        """
        ...

    def peek(self, queues: Sequence[str], count: int, *, skip: int) -> ReadyBatch:
        """Up to ``count`` runs that a take would bring, in its order but for the first ``skip``; they stay there.

        Does not wait. For the thread that takes.
        """
        ...

    def forget(self, runs: Iterable[tuple[UUID, str]]) -> None:
        """Remove runs, named with their queues, that need not be performed any more."""
        ...

    def is_intact(self) -> bool:
        """Whether the index holds all it was told since ``mark_intact``, as far as it can know."""
        ...

    def mark_intact(self) -> bool:
        """Whether it was for the caller to mark it, who then adds every waiting run.

        Mark first, add after: then a loss in the middle shows, and of many processes one does the work.
        """
        ...

    def probe(self) -> None:
        """Do once, on entries of its own that are gone afterwards, what adders and takers ask of it."""
        ...

    def wipe(self) -> None:
        """Forget everything, the mark included."""
        ...

    def close(self) -> None: ...
