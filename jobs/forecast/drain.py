"""Computes when a backlog will be gone, and how many workers would meet a target: pure computation.

A queue's threads end ``capacity`` attempts a second while there is a backlog, and ``arrivals`` come: the difference
drains it. Both are measured over the last minutes, so the answer is a range: arrivals of a Poisson process and the mean
of a sample vary as their variances say, and capacity by at least ``LEAST_SPREAD``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pvariance

Z = 2.0
"""Standard deviations of the range. Source: decision; about 95 % of a normal distribution."""
LEAST_SPREAD = 0.15
"""The least relative width of the capacity to either side. Source: the simulation of benchmarks/forecast.py."""
OVERHEAD_SECONDS = 0.0005
"""What a thread spends on an attempt besides performing it. Source: measured, 10,000 to 20,000 empty runs a second of a
process with eight threads."""
NEVER = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A queue now, and in the last ``seconds``.

    Attributes:
        ready: runs that wait and may start.
        oldest_seconds: since the oldest of them was due.
        busy: threads that perform its runs.
        threads: threads of the live processes that serve it.
        came: runs that came in each of equal parts of the time; a part with a burst does not count as a rate.
        retried: attempts that will be tried again.
        took: seconds that each ended attempt took.
    """

    ready: int
    oldest_seconds: float
    busy: int
    threads: int
    came: Sequence[int]
    took: Sequence[float]
    seconds: float
    retried: int = 0
    is_paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """When the backlog is gone, in seconds from now: probably ``likely``, between ``soonest`` and ``latest``.

    Attributes:
        likely, soonest, latest: infinite: never at this rate; None: nothing is known yet.
        arrivals, capacity: runs a second; capacity is None if no attempt has ended.
        threads_needed: threads that keep up with what comes; None if unknown.
    """

    likely: float | None
    soonest: float | None
    latest: float | None
    arrivals: float
    capacity: float | None
    threads_needed: int | None


def drain_of(facts: Facts, *, more_threads: int = 0) -> Drain:
    """The forecast for a queue, with ``more_threads`` than it has."""
    arrivals = arrivals_of(facts)
    spread = Z * math.sqrt(arrivals * facts.seconds + 1) / facts.seconds
    if not facts.ready:
        return Drain(
            likely=0.0, soonest=0.0, latest=0.0, arrivals=arrivals, capacity=_capacity(facts, 0)[0],
            threads_needed=threads_for(facts, within=None),
        )  # fmt: skip
    capacity, error = _capacity(facts, more_threads)
    if facts.is_paused or (not facts.threads and not more_threads):
        capacity, error = 0.0, 0.0
    if capacity is None:
        return Drain(likely=None, soonest=None, latest=None, arrivals=arrivals, capacity=None, threads_needed=None)
    return Drain(
        likely=_gone(facts.ready, capacity - arrivals),
        soonest=_gone(facts.ready, capacity * (1 + error) - max(0.0, arrivals - spread)),
        latest=_gone(facts.ready, capacity * (1 - error) - (arrivals + spread)),
        arrivals=arrivals,
        capacity=capacity,
        threads_needed=threads_for(facts, within=None),
    )


def arrivals_of(facts: Facts) -> float:
    """Runs a second that come, retries included, without bursts: a burst is a part of the backlog, and no rate."""
    parts = sorted(facts.came)
    # A part is a burst if it has more than five standard deviations more than the smaller ones.
    while len(parts) > 1:
        rest = fmean(parts[:-1])
        if parts[-1] <= rest + 5 * math.sqrt(rest + 1):
            break
        parts.pop()
    each = facts.seconds / max(1, len(facts.came))
    return (fmean(parts) / each if parts else 0.0) + facts.retried / facts.seconds


def threads_for(facts: Facts, *, within: float | None) -> int | None:
    """The threads that keep up with what comes and, given ``within`` seconds, also end the backlog in that time.

    None if no attempt has ended, so that nothing is known of them.
    """
    if not facts.took:
        return None
    rate = arrivals_of(facts) + (facts.ready / within if within else 0.0)
    return math.ceil(rate * fmean(facts.took) * (1 + LEAST_SPREAD) - 1e-9)


def _gone(ready: int, net: float) -> float:
    return ready / net if net > 0 else NEVER


def _capacity(facts: Facts, more_threads: int) -> tuple[float | None, float]:
    """Attempts a second that the threads end, and its relative error; None if unknown."""
    if not facts.took:
        return None, 0.0
    mean = max(fmean(facts.took), 1e-6)
    number = len(facts.took)
    threads = max(1, min(facts.busy or facts.threads, facts.threads))
    by_time = threads / (mean + OVERHEAD_SECONDS)
    error = Z * math.sqrt(pvariance(facts.took) / number) / mean if number > 1 else 1.0
    # The future sum of ``ready`` attempts varies too.
    error = math.hypot(error, Z * math.sqrt(pvariance(facts.took) / max(1, facts.ready)) / mean)
    measured = number / facts.seconds
    if facts.oldest_seconds >= facts.seconds:
        # There was a backlog all the time, so what ended is what can end.
        by_time, error = measured, max(error, Z / math.sqrt(number))
    else:
        by_time = max(by_time, measured)
    scale = (threads + more_threads) / threads
    return by_time * scale, min(0.9, max(LEAST_SPREAD, error))
