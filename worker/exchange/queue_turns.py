"""Queue turns: the order in which a worker claims from its queues, strict or by weight.

Weights mean a smooth round robin over runs: ``a:3`` and ``b:1`` give three runs of a for each run of b, spread
evenly, while both queues have waiting runs. If one is empty, the other gets all threads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from jobs.definition import registry
from jobs.formats.queue_weights import Served, read_served


class Turns:
    """The queues in the order in which the next claim reads them. Not thread-safe."""

    def __init__(self, served: Sequence[Served]) -> None:
        self.names = tuple(one.queue for one in served)
        self._weights = {one.queue: one.weight or 1 for one in served}
        self._is_strict = all(one.weight is None for one in served)
        self._credit = dict.fromkeys(self.names, 0)

    def order(self) -> tuple[str, ...]:
        """Every queue, beginning with the one whose turn it is."""
        if self._is_strict:
            return self.names
        return tuple(sorted(self.names, key=lambda one: -(self._credit[one] + self._weights[one])))

    def took(self, order: Sequence[str], queues: Iterable[str], *, count: int) -> None:
        """Record that a claim of up to ``count`` runs, which read the queues in this ``order``, got runs of ``queues``.

        A queue that had fewer runs than its share starts again at zero. It gets no compensation later for what the
        other queues took meanwhile.
        """
        if self._is_strict:
            return
        got = Counter(queues)
        busy, left = [], count
        for name in order:
            left -= got[name]
            # It is not known whether the queues behind the last one read have runs.
            if left > 0:
                self._credit[name] = 0
            else:
                busy.append(name)
        total = sum(self._weights[name] for name in busy)
        shared = sum(got[name] for name in busy)
        for name in busy:
            self._credit[name] += self._weights[name] * shared - total * got[name]


def turns_of(words: Sequence[str], *, kinds: Sequence[str]) -> Turns:
    """The queues that ``words`` name (``mail``, ``mail:3``), or those of the ``kinds``."""
    own = {registry.get(kind).options.queue for kind in kinds}
    return Turns(read_served(words) or [Served(queue) for queue in sorted(own) or ["default"]])
