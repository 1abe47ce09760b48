"""Latency: the time from the call of ``enqueue`` until ``perform`` starts, at 50 runs a second and at one.

It includes the call's own commit, since nothing is enqueued before that. One worker serves, with default settings.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from sqlalchemy import text

from benchmarks.kit import stock
from benchmarks.kit.figures import Figures, percentile, program
from benchmarks.kit.modes import MODES, STOCK
from benchmarks.kit.places import Place, Places, places, wait_for
from benchmarks.kit.work import Late

RATES = (50.0, 1.0)
RESULTS = "select result from job_runs where state = 'succeeded' order by id"


def send(count: int, rate: float, call: Callable[[], object]) -> list[float]:
    """Call at this rate, evenly spaced. Returns the milliseconds of each call."""
    took = []
    began = time.perf_counter()
    for number in range(count):
        time.sleep(max(0.0, began + number / rate - time.perf_counter()))
        at = time.perf_counter()
        call()
        took.append((time.perf_counter() - at) * 1000)
    return took


def note(figures: Figures, rate: float, system: str, late: list[float]) -> None:
    figures.add(f"latency at {rate:.0f}/s, p50", system, "ms", percentile(late, 0.5))
    figures.add(f"latency at {rate:.0f}/s, p99", system, "ms", percentile(late, 0.99))


def ours(place: Place, given: argparse.Namespace, figures: Figures) -> None:
    with place.worker():
        done = len(_sent(place, 20, 20.0, done=0)[0])  # warm
        for rate in RATES:
            late, took = _sent(place, _count(given, rate), rate, done=done)
            done += len(late)
            note(figures, rate, place.mode, late)
            figures.add(f"the call of enqueue at {rate:.0f}/s, p50", place.mode, "ms", percentile(took, 0.5))


def stocks(there: Places, given: argparse.Namespace, figures: Figures) -> None:
    stock.use(there.redis.url)
    with stock.worker(there.redis.url, processes=1, prefetch=None):
        done = len(_stock_sent(20, 20.0, done=0))
        for rate in RATES:
            late = _stock_sent(_count(given, rate), rate, done=done)
            done += len(late)
            note(figures, rate, STOCK, late)


def _count(given: argparse.Namespace, rate: float) -> int:
    return int(rate * (given.seconds if rate > 1 else given.slow_seconds))


def _sent(place: Place, count: int, rate: float, *, done: int) -> tuple[list[float], list[float]]:
    took = send(count, rate, lambda: Late(sent=time.time()).enqueue())
    wait_for(lambda: _succeeded(place) == done + count)
    with place.app.database.read() as connection:
        return [float(row[0]) for row in connection.execute(text(RESULTS))][done:], took


def _stock_sent(count: int, rate: float, *, done: int) -> list[float]:
    send(count, rate, lambda: stock.late.send(time.time()))
    wait_for(lambda: len(stock.latencies()) == done + count)
    return stock.latencies()[done:]


def _succeeded(place: Place) -> int:
    return int(place.sql("select count(*) from job_runs where state = 'succeeded'")[0])


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there:
        for _ in range(given.repeats):
            stocks(there, given, figures)
            for mode in MODES:
                with there.ledger(mode) as place:
                    ours(place, given, figures)


if __name__ == "__main__":
    program("latency", run, seconds=(6.0, "at 50 a second"), slow_seconds=(8.0, "at one a second"))
