"""The faults of a run of chaos and their moments, from a seed: the same seed and options give the same faults."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from jobs.clock import SystemClock

SETTLE = timedelta(seconds=45)
"""The time at the end without faults, at most half of all. Source: a lease of 30 s, and the sweep that ends it."""
SPREAD = (0.5, 1.5)
"""The least and the greatest gap between two faults, in average gaps."""
STOPPED_LEASES = (0.2, 1.5)
"""How long a process stays stopped, in leases: some keep their runs, and some lose them."""


class Fault(StrEnum):
    KILL = "kill"
    STOP = "stop"
    FLUSH = "flush"
    CUT = "cut"


_WEIGHTS = {Fault.KILL: 4, Fault.STOP: 4, Fault.FLUSH: 1, Fault.CUT: 1}
"""How often each is chosen. Source: decision; processes fail more often than servers."""


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault ``at`` seconds after the beginning.

    ``pick``, from 0 to 1, chooses one of the workers by name; ``stopped_seconds`` is how long a stop lasts.
    """

    at: float
    fault: Fault
    pick: float
    stopped_seconds: float = 0.0


def make_plan(
    seed: int, *, span: timedelta, every: timedelta, faults: Sequence[Fault], lease: timedelta
) -> tuple[PlannedFault, ...]:
    """The faults within ``span``, on average one in ``every``; every stopped process is thawed before its quiet end."""
    rng = SystemClock(seed).rng
    end = busy_seconds(span)
    plan: list[PlannedFault] = []
    at = _gap(rng, every)
    while at < end:
        fault = rng.choices(list(faults), [_WEIGHTS[one] for one in faults])[0]
        pick, leases = rng.random(), rng.uniform(*STOPPED_LEASES)
        stopped = min(leases * lease.total_seconds(), end - at) if fault is Fault.STOP else 0.0
        plan.append(PlannedFault(round(at, 3), fault, round(pick, 6), round(stopped, 3)))
        at += _gap(rng, every)
    return tuple(plan)


def busy_seconds(span: timedelta) -> float:
    """The part of a run in which there are faults."""
    return (span - min(SETTLE, span / 2)).total_seconds()


def _gap(rng: random.Random, every: timedelta) -> float:
    return every.total_seconds() * rng.uniform(*SPREAD)
