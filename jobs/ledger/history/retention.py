"""How long runs in history are kept. A rule is what a run's partition is named after, and gives the time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.ledger.history.partitions import Partition
from jobs.states import FINAL, RunState

Kept = Mapping[RunState, timedelta | None]
"""How long ended runs of each state are kept; None is for ever."""
OF_KIND = "keep_"
"""Begins the rule of kinds with a time of their own; the seconds follow, so that kinds with the same time share it."""
RULES = tuple(sorted(state.value for state in FINAL))


@dataclass(frozen=True, slots=True)
class Retention:
    """The rules: by state, from the settings, and by kind (``retain=``), from what workers published."""

    kept: Kept
    kinds: Mapping[str, timedelta]

    @property
    def of_kinds(self) -> dict[str, str]:
        """The rule of each kind whose class says how long its runs are kept. Others are kept by their state."""
        return {kind: f"{OF_KIND}{max(1, round(span.total_seconds()))}" for kind, span in self.kinds.items()}

    def span_of(self, rule: str) -> timedelta | None:
        """How long the runs of a rule are kept after their end; None for ever, or for a rule that is not known here."""
        if rule.startswith(OF_KIND) and rule.removeprefix(OF_KIND).isdecimal():
            return timedelta(seconds=int(rule.removeprefix(OF_KIND)))
        return self.kept.get(RunState(rule)) if rule in RULES else None

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
