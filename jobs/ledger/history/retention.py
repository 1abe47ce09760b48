"""How long runs in history are kept. A rule is what a run's partition is named after, and gives the time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.ledger.history.partitions import Partition
from jobs.ledger.operators.retention import Retention
from jobs.states import FINAL, RunState

OF_TIME = "keep_"
"""Begins the rule of runs with a time of their own; the seconds follow, so that those with the same time share it."""
FOR_EVER = f"{OF_TIME}never"
RULES = tuple(sorted(state.value for state in FINAL))


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that follow from how long runs are kept."""

    kept: Retention

    @property
    def of_kinds(self) -> dict[str, str]:
        """The rule of each kind whose class says how long its runs are kept."""
        return {kind: _rule_of_time(span) for kind, span in self.kept.kinds.items()}

    def of_queues(self, state: RunState) -> dict[str, str]:
        """The rule of each queue for which an operator set how long runs are kept that ended in this state. It wins."""
        return {queue: _rule_of_time(kept[state]) for queue, kept in self.kept.queues.items() if state in kept}

    def rule_of(self, state: RunState, queue: str, kind: str) -> str:
        """The rule by which these runs are kept: their state, or the time that an operator or their class says."""
        return self.of_queues(state).get(queue) or self.of_kinds.get(kind) or state.value

    def span_of(self, rule: str) -> timedelta | None:
        """How long the runs of a rule are kept after their end; None for ever, or for a rule that is not known here."""
        if rule.startswith(OF_TIME) and rule.removeprefix(OF_TIME).isdecimal():
            return timedelta(seconds=int(rule.removeprefix(OF_TIME)))
        return self.kept.states.get(RunState(rule)) if rule in RULES else None

    def drops_at(self, one: Partition) -> datetime | None:
        """When all in a partition is over its time; None for never."""
        span = self.span_of(one.rule)
        try:
            return None if span is None else one.period.end + span
        except OverflowError:
            return None

    def due(self, every: list[Partition], now: datetime) -> Iterator[Partition]:
        """The partitions to drop now, or whose drop was interrupted; steps and attempts before their runs."""
        for one in sorted(every, key=lambda one: (one.twin == "job_history", one.period)):
            at = self.drops_at(one)
            if one.is_pending or (at is not None and at <= now):
                yield one


def _rule_of_time(span: timedelta | None) -> str:
    return FOR_EVER if span is None else f"{OF_TIME}{max(1, round(span.total_seconds()))}"
