"""The goals of docs/performance.md, and how to read each from the results of a run."""

from __future__ import annotations

import operator
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.kit.figures import Figure, number
from benchmarks.kit.modes import FLEET, POSTGRESQL, SQLITE, STOCK

Found = Mapping[tuple[str, str], Figure]


@dataclass(frozen=True)
class Goal:
    """One row of the table. ``at_least`` and ``aim`` are bounds of what ``read`` gives, both in ``unit``."""

    name: str
    unit: str
    at_least: float
    aim: float
    read: Callable[[Found], float]
    less_is_better: bool = False

    def rating(self, value: float) -> str:
        """As text."""
        reaches = operator.le if self.less_is_better else operator.ge
        if reaches(value, self.aim):
            return "aim met"
        return "met" if reaches(value, self.at_least) else "**short**"

    def shown(self, value: float) -> str:
        """A bound or a value, with its unit."""
        text = f"{value:.2f}" if self.unit == "×" else number(value)
        return f"{text} {self.unit}".strip()


def ratio(measure: str, system: str, *, to: tuple[str, str]) -> Callable[[Found], float]:
    """The median of the rounds' own ratios: both values of a round come from the same state of the machine."""

    def read(found: Found) -> float:
        pairs = zip(found[measure, system].values, found[to].values, strict=True)
        return statistics.median(one / other for one, other in pairs)

    return read


def value(measure: str, system: str) -> Callable[[Found], float]:
    """The plain median."""
    return lambda found: found[measure, system].median


def worst(*readings: Callable[[Found], float]) -> Callable[[Found], float]:
    """The greatest of several."""
    return lambda found: max(read(found) for read in readings)


ONE, TWO = "drain, 1 process", "drain, 2 processes"
BESIDE = ("lists of the API", "pages")
"""The requests that are made beside a busy worker."""
ENQUEUE, MANY = "enqueue one", "enqueue many, in one call"
GOALS = (
    Goal("drain, 1 process, against dramatiq", "×", 2.0, 3.0, ratio(ONE, FLEET, to=(ONE, STOCK))),
    Goal("drain, 2 processes, against dramatiq", "×", 1.8, 2.5, ratio(TWO, FLEET, to=(TWO, STOCK))),
    Goal(
        "drain with 1,000,000 queued, against 20,000", "×", 0.9, 1.0,
        ratio("drain, 1,000,000 queued", FLEET, to=("drain, 20,000 queued", FLEET)),
    ),
    Goal(
        "enqueue one, against a psycopg insert and ZADD", "×", 0.5, 0.7,
        ratio(ENQUEUE, FLEET, to=(ENQUEUE, "psycopg insert and ZADD")),
    ),
    Goal(
        "enqueue_many, against psycopg's unnest", "×", 0.6, 1.2,
        ratio(MANY, FLEET, to=("enqueue many, 100 a call", "psycopg unnest")),
    ),
    Goal("latency at 50/s, p50", "ms", 4.5, 3.0, value("latency at 50/s, p50", FLEET), less_is_better=True),
    Goal("latency at 50/s, p99", "ms", 9.0, 6.0, value("latency at 50/s, p99", FLEET), less_is_better=True),
    Goal("latency at 1/s, p50", "ms", 6.0, 4.0, value("latency at 1/s, p50", FLEET), less_is_better=True),
    Goal(
        "statements and commits a settled run", "", 0.05, 0.02,
        value("statements and commits at full load", FLEET), less_is_better=True,
    ),
    Goal(
        "memory of an idle worker of 2 processes, whole tree", "MB", 130.0, 80.0,
        value("idle worker of 2 processes, memory (PSS)", FLEET), less_is_better=True,
    ),
    Goal(
        "idle worker and scheduler together", "% of a core", 1.0, 0.4,
        value("idle worker and scheduler, processor", FLEET), less_is_better=True,
    ),
    Goal(
        "500 coroutines of 1 s", "s", 3.0, 1.5,
        value("500 coroutines of 1 s, first start to last end", FLEET), less_is_better=True,
    ),
    Goal("PostgreSQL alone, drain, against fleet mode", "×", 0.7, 1.0, ratio(ONE, POSTGRESQL, to=(ONE, FLEET))),
    Goal("SQLite, drain, against fleet mode", "×", 0.5, 0.8, ratio(ONE, SQLITE, to=(ONE, FLEET))),
    Goal("SQLite, least share of 4 processes", "", 0.1, 0.2, value("least share of 4 processes", SQLITE)),
    Goal(
        "default logging on, against errors only", "×", 0.9, 0.97,
        ratio(ONE, FLEET, to=(f"{ONE}, errors logged only", FLEET)),
    ),
    Goal(
        "retries and due runs begin late by, p99", "ms", 250.0, 250.0,
        worst(*(value(f"lateness of {what}, p99", FLEET) for what in ("due runs", "retries"))), less_is_better=True,
    ),
    Goal(
        "the slowest list or page over 1,000,000 runs, beside a busy worker, p95", "ms", 150.0, 150.0,
        worst(*(value(f"{what}: the slowest address, p95", FLEET) for what in BESIDE)), less_is_better=True,
    ),
    Goal(
        "what that worker, in fleet mode, loses to 20 requests/s", "%", 5.0, 5.0,
        worst(*(value(f"{what}: what the worker loses", FLEET) for what in BESIDE)), less_is_better=True,
    ),
)  # fmt: skip
