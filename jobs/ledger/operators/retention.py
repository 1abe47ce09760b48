"""How long ended runs are kept: as an operator set for their queue, else ``retain=`` of their class, else the settings.

The pruner, history and the error budgets of targets decide by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from jobs.database.sql import Executor
from jobs.ledger.operators.queue_retention import Kept, retained_queues
from jobs.ledger.published_kinds import retained_kinds
from jobs.settings import Settings
from jobs.states import RunState


@dataclass(frozen=True, slots=True)
class Retention:
    """The times of all ended runs.

    Attributes:
        states: of the settings.
        kinds: of classes with ``retain=``, as workers published it: for each state.
        queues: what operators set. A state that is not there is not set.
    """

    states: Kept
    kinds: Mapping[str, timedelta] = field(default_factory=dict)
    queues: Mapping[str, Kept] = field(default_factory=dict)

    @property
    def has_own(self) -> bool:
        """Whether a kind or a queue has a time of its own."""
        return bool(self.kinds or self.queues)

    def span_of(self, state: RunState, queue: str, kind: str) -> timedelta | None:
        """How long these runs are kept after their end; None for ever."""
        set_for_queue = self.queues.get(queue, {})
        if state in set_for_queue:
            return set_for_queue[state]
        return self.kinds[kind] if kind in self.kinds else self.states[state]

    def spans(self) -> Iterator[timedelta | None]:
        """Each time that there is."""
        yield from self.states.values()
        yield from self.kinds.values()
        for kept in self.queues.values():
            yield from kept.values()


def read_retention(session: Executor, settings: Settings) -> Retention:
    """The times as they are now."""
    return Retention(kept_by_settings(settings), retained_kinds(session), retained_queues(session))


def kept_by_settings(settings: Settings) -> Kept:
    """JOBS_RETAIN_SUCCEEDED and the like."""
    return {
        RunState.SUCCEEDED: settings.retain_succeeded,
        RunState.CANCELLED: settings.retain_cancelled,
        RunState.DEAD: settings.retain_dead,
    }
