"""Judges forecasts of backlogs by simulation: ``python -m benchmarks.forecast``.

Thirty loads (steady, fixed, burst, a day's wave, heavy tails, a limit in force) on simulated queues: at one moment the
forecast is made from what a ledger would have recorded, and the simulation goes on until the backlog is gone. It prints
the share of loads whose truth lies in the forecast's range; at least 0.9 is wanted.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from jobs.forecast.drain import Facts, drain_of

WINDOW, NOW, HORIZON = 300.0, 600.0, 6_000.0
SEEDED = NOW - 60


@dataclass(frozen=True, slots=True)
class Load:
    """A load: arrivals a second at a moment, seconds of one attempt, and a backlog that appears a minute before."""

    name: str
    rate: Callable[[float], float]
    most_rate: float
    takes: Callable[[random.Random], float]
    threads: int
    limit: int
    backlog: int


def loads() -> list[Load]:
    """Thirty: six shapes, each with five sizes."""
    found = []
    for size in (1, 2, 3, 4, 6):
        one, four = float(size), 4 * size
        found += [
            Load("steady", lambda t, s=one: 3 * s, 3 * one, _exponential(1), four, four, 300 * size),
            Load("fixed", lambda t, s=one: 5 * s, 5 * one, lambda rng: 0.5, four, four, 600 * size),
            Load("burst", lambda t, s=one: s if t < SEEDED else s / 2, one, _exponential(1), four, four, 900 * size),
            Load("day", lambda t, s=one: 2 * s * _wave(t), 3 * one, _exponential(1), four, four, 400 * size),
            Load("heavy tail", lambda t, s=one: 1.5 * s, 1.5 * one, _pareto(0.8), four, four, 500 * size),
            Load("limited", lambda t, s=one: s, one, _exponential(1), 2 * four, 2 * size, 200 * size),
        ]
    return found


def _wave(moment: float) -> float:
    return 1 + 0.3 * math.sin(moment / 13_000)


def _exponential(mean: float) -> Callable[[random.Random], float]:
    return lambda rng: rng.expovariate(1 / mean)


def _pareto(mean: float) -> Callable[[random.Random], float]:
    shape = 2.2
    return lambda rng: rng.paretovariate(shape) * mean * (shape - 1) / shape


def judge(load: Load, seed: int) -> tuple[bool, str]:
    """Whether the truth lies in the range, and both as text."""
    rng = random.Random(seed)
    ends: list[float] = []
    waiting: deque[float] = deque()
    arrived: list[float] = []
    took: list[tuple[float, float]] = []
    servers = min(load.threads, load.limit)
    now, next_at, is_seeded = 0.0, rng.expovariate(load.most_rate), False
    facts: Facts | None = None
    while now < HORIZON:
        now = min(next_at, ends[0] if ends else math.inf)
        if not is_seeded and now >= SEEDED:
            waiting.extend([SEEDED] * load.backlog)
            arrived.extend([SEEDED] * load.backlog)
            is_seeded = True
        if facts is None and now >= NOW:
            facts = _facts(load, waiting, arrived, took, busy=len(ends))
        if facts is not None and not waiting:
            break
        if now == next_at:
            if rng.random() < load.rate(now) / load.most_rate:
                waiting.append(now)
                arrived.append(now)
            next_at = now + rng.expovariate(load.most_rate)
        else:
            heapq.heappop(ends)
        while waiting and len(ends) < servers:
            waiting.popleft()
            span = load.takes(rng)
            heapq.heappush(ends, now + span)
            took.append((now + span, span))
    assert facts is not None
    drain = drain_of(facts)
    truth = now - NOW if now < HORIZON else math.inf
    assert drain.soonest is not None
    assert drain.latest is not None
    is_within = drain.soonest <= truth <= drain.latest
    return is_within, f"{truth:8.0f} s in {drain.soonest:8.0f} to {drain.latest:8.0f}"


def _facts(
    load: Load, waiting: deque[float], arrived: list[float], took: list[tuple[float, float]], *, busy: int
) -> Facts:
    return Facts(
        ready=len(waiting),
        oldest_seconds=NOW - waiting[0] if waiting else 0.0,
        busy=busy,
        threads=load.threads,
        came=[sum(part <= NOW - at < part + 30 for at in arrived) for part in range(0, 300, 30)],
        took=[span for at, span in took if NOW - WINDOW <= at <= NOW],
        seconds=WINDOW,
    )


def main() -> None:
    """Print each load and the share within the range."""
    results = [(load.name, *judge(load, seed)) for seed, load in enumerate(loads())]
    for name, is_within, text in results:
        print(f"{name:<12} {text} {'' if is_within else 'OUTSIDE'}")
    print(f"within: {sum(one[1] for one in results) / len(results):.2f} of {len(results)}")


if __name__ == "__main__":
    main()
