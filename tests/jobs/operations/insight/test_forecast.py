"""Forecasts: when a backlog is gone, never at this rate, and how many workers a queue wants."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.forecast import judge, loads
from jobs.app import App
from jobs.errors import Forbidden, NotFound
from jobs.forecast.drain import Facts, drain_of, threads_for
from jobs.ledger import workers
from jobs.operations.audit.operator import Operator
from jobs.operations.control.pause import pause
from jobs.operations.insight.forecast import forecasts, scale_of
from jobs.states import Outcome
from tests.book import Book

FACTS = Facts(
    ready=600, oldest_seconds=20.0, busy=4, threads=4, came=[30] * 10, took=[1.0] * 300, seconds=300.0
)  # fmt: skip


def test_a_backlog_drains_by_what_the_threads_end_beyond_what_comes() -> None:
    drain = drain_of(FACTS)

    assert drain.arrivals == pytest.approx(1.0)
    assert drain.capacity == pytest.approx(4.0, rel=0.01)
    assert drain.likely == pytest.approx(200, rel=0.01)
    assert drain.soonest is not None
    assert drain.latest is not None
    assert drain.soonest < 200 < drain.latest
    assert drain.threads_needed == 2
    assert drain_of(FACTS, more_threads=4).likely == pytest.approx(600 / 7, rel=0.01)


@pytest.mark.parametrize(
    ("changed", "likely"),
    [
        ({"came": [150] * 10}, math.inf),
        ({"threads": 0, "busy": 0}, math.inf),
        ({"is_paused": True}, math.inf),
        ({"took": []}, None),
        ({"ready": 0}, 0.0),
        ({"came": [30] * 9 + [5_000]}, pytest.approx(200, rel=0.01)),
    ],
    ids=["more comes than ends", "no worker", "paused", "nothing has ended", "no backlog", "a burst is no rate"],
)
def test_what_is_not_known_or_never_ends_is_said(changed: dict[str, Any], likely: Any) -> None:
    assert drain_of(replace(FACTS, **changed)).likely == likely


def test_the_truth_of_simulated_loads_lies_in_the_range() -> None:
    within = [judge(load, seed)[0] for seed, load in enumerate(loads()[:12])]

    assert sum(within) / len(within) >= 0.9


def test_threads_for_a_target_end_the_backlog_in_its_time_too() -> None:
    assert threads_for(FACTS, within=60) == math.ceil(11 * 1.15)
    assert threads_for(replace(FACTS, took=[]), within=60) is None


def test_a_queue_is_forecast_and_scaled_from_the_ledger(app: App, book: Book, ada: Operator) -> None:
    with app.database.write() as connection:
        workers.register(
            connection, "w", host="h", pid=1, version="1", queues=["bulk", "calm"], kinds=["K"], threads=4
        )  # fmt: skip
    for _ in range(8):
        book.enqueue(queue="bulk")
    (held, *_) = book.claim_due(1, queue="bulk")
    book.end(held, Outcome.SUCCEEDED, elapsed=2.0)

    (found,) = forecasts(app, ada, more_threads=4)
    assert (found.queue, found.ready, found.threads) == ("bulk", 7, 4)
    assert found.drain.likely == pytest.approx(7 / (4 / 2.0005 - found.drain.arrivals), rel=0.01)
    assert found.with_more is not None
    assert found.with_more.likely is not None
    assert found.with_more.likely < found.drain.likely
    assert scale_of(app, ada, "bulk").reason == "enough"
    pause(app, ada, "queue", "bulk")
    scale = scale_of(app, ada, "bulk")
    assert (scale.workers_wanted, scale.workers, scale.reason) == (0, 1, "paused")
    assert scale_of(app, ada, "calm").reason == "idle"
    with pytest.raises(NotFound):
        scale_of(app, ada, "nothing")
    with pytest.raises(Forbidden):
        forecasts(app, Operator("grace", permissions=frozenset()))
