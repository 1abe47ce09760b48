"""Admits new runs where a queue or kind has a limit of waiting runs, and counts them now and then, not at each enqueue.

A process remembers its last count and adds what it enqueues itself. It counts again when it has enqueued a twentieth of
what there was room for (or a thousandth of the limit, whichever is more), after a second, and before it refuses.

Several processes may together exceed a limit: each by the runs that it is enqueueing at that moment, and, if more than
twenty processes enqueue at once, by a thousandth of the limit.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.clock import Clock
from jobs.definition.max_waiting import max_waiting_kinds
from jobs.errors import JobsError, LedgerMissing, QueueFull, ServiceDown
from jobs.ledger.admission.waiting_count import count_waiting
from jobs.ledger.operators.queue_values import queue_values
from jobs.ledger.records import NewRun

if TYPE_CHECKING:
    from sqlalchemy import Connection

READ_EVERY = 5.0
"""Seconds after which a process reads the limits of queues again. Source: decision; one small query in that time."""
COUNT_EVERY = 1.0
"""Seconds after which a count is too old. Source: decision."""
EXACT = 1000
"""Up to this limit a refusal always follows a count of its own. Source: measured; it takes some 0.2 ms."""
COST = 20
"""A count of a larger limit is used for refusals for this many times the time that it took. Source: decision; a full
queue costs its callers a twentieth of their time in counts."""

Look = Callable[[], AbstractContextManager["Connection"]]
"""Opens a connection to count with."""
Limit = tuple[str, str, int]
"""``queue`` or ``kind``, its name, and how many of its runs may wait."""


@dataclass(slots=True)
class _Count:
    number: int
    until: float
    """When it is too old."""
    left: int
    """Runs that this process may still enqueue before it counts again."""
    refuses_until: float


class Backlogs:
    """The limits of queues as this process last read them, and its counts of waiting runs."""

    def __init__(self) -> None:
        self.by_queue: dict[str, int] = {}
        """How many runs may wait in the queues that have a limit."""
        self.read_until = float("-inf")
        self._counts: dict[tuple[str, str], _Count] = {}
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Read the limits again at the next enqueue."""
        self.read_until = float("-inf")
        self._counts.clear()

    def read(self, clock: Clock, look: Look) -> None:
        """Read the limits of queues. A ledger that is not migrated yet has none.

        Raises:
            ServiceDown: the ledger does not answer.
            LedgerMissing: there are no tables.
        """
        try:
            with look() as connection:
                self.by_queue = queue_values(connection, "max_waiting")
        except LedgerMissing:
            raise
        except JobsError as error:
            # SQLite reports a column that it lacks in the same way as a file that it cannot read.
            if isinstance(error, ServiceDown) and "max_waiting" not in str(error):
                raise
            self.by_queue = {}
        self.read_until = clock.monotonic() + READ_EVERY

    def admit(self, clock: Clock, look: Look, runs: Sequence[NewRun]) -> tuple[list[bool], QueueFull | None]:
        """Which of ``runs`` have room, in their order. Those count from now on; call ``withdraw`` if they are not made.

        The second item says what is full, if anything is.
        """
        limits = [tuple(self._limits_of(run)) for run in runs]
        wanted = Counter(one for some in limits for one in some)
        with self._lock:
            counts = {one: self._count(clock, look, one, number) for one, number in wanted.items()}
            has_room, full = [], None
            for some in limits:
                lacking = next((one for one in some if counts[one].number >= one[2]), None)
                has_room.append(lacking is None)
                if lacking is not None:
                    full = full or _queue_full(lacking, counts[lacking].number)
                    continue
                for one in some:
                    counts[one].number += 1
                    counts[one].left -= 1
        return has_room, full

    def withdraw(self, runs: Sequence[NewRun]) -> None:
        """Count ``runs`` no longer: they were admitted and are not made."""
        with self._lock:
            for run in runs:
                for what, name, _ in self._limits_of(run):
                    if (known := self._counts.get((what, name))) is not None:
                        known.number -= 1

    def can_ever_hold(self, runs: Sequence[NewRun]) -> bool:
        """Whether there would be room for all of ``runs`` if nothing else waited."""
        wanted = Counter(one for run in runs for one in self._limits_of(run))
        return all(number <= one[2] for one, number in wanted.items())

    def _limits_of(self, run: NewRun) -> Iterator[Limit]:
        if (most := self.by_queue.get(run.queue)) is not None:
            yield "queue", run.queue, most
        declared = max_waiting_kinds.get(run.kind)
        if declared is not None and declared.most is not None:
            yield "kind", run.kind, declared.most

    def _count(self, clock: Clock, look: Look, limit: Limit, wanted: int) -> _Count:
        what, name, most = limit
        known, now = self._counts.get((what, name)), clock.monotonic()
        if known is not None:
            refuses = known.number + wanted > most
            if refuses and most > EXACT and now < known.refuses_until:
                return known
            if not refuses and now < known.until and known.left >= wanted:
                return known
        with look() as connection:
            number = count_waiting(connection, what, name, most=most)
        after = clock.monotonic()
        left = max(1, (most - number) // 20, most // 1000)
        made = _Count(number, after + COUNT_EVERY, left, after + COST * (after - now))
        self._counts[what, name] = made
        return made


def _queue_full(limit: Limit, waiting: int) -> QueueFull:
    what, name, most = limit
    change = f"raise the limit (jobledger queues limit {name} --waiting N)" if what == "queue" else "raise max_waiting"
    wait = "run waits" if waiting == 1 else "runs wait"
    return QueueFull(
        f"The {what} {name} is full: {waiting:,} {wait}, and max_waiting allows {most:,}. Nothing was enqueued.",
        what=what,
        name=name,
        waiting=waiting,
        max_waiting=most,
        hint=f"Try again later, start more workers, {change}, or choose on_full='drop' or 'wait'.",
    )
