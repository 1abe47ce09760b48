"""What years of ended runs cost a ledger with history: reads, pages, enqueueing, claims, a drain, a drop of a month.

Three ledgers in each round: an empty one; one with the latest ended runs and many that wait; and one with the same and
with all that ended before in history. ``benchmarks.history_moves`` measures the moves.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

from benchmarks.backlog import fill
from benchmarks.kit.asker import Asker
from benchmarks.kit.ended import drain, enable, fill_history, fill_hot
from benchmarks.kit.figures import Figures, percentile, program, stopwatch
from benchmarks.kit.modes import POSTGRESQL
from benchmarks.kit.places import Place, places
from benchmarks.kit.requests import serving
from benchmarks.kit.work import Noop
from benchmarks.web import sign_in
from jobs.ledger.history import partitions
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.records import AttemptResult
from jobs.ledger.runs.claim import claim_due_direct
from jobs.ledger.runs.settle_plain import settle_plain
from jobs.operations.audit.operator import Operator
from jobs.operations.insight.dead_letters import error_groups
from jobs.operations.runs import inspect
from jobs.states import Outcome

OPERATOR = Operator("bench")
BATCH = 100
"""Runs of a claim."""
TIMES = 30
READS: dict[str, Callable[[Place], object]] = {
    "status": lambda place: inspect.status(place.app, OPERATOR),
    "list": lambda place: inspect.list_runs(place.app, OPERATOR, Selector()),
    "list succeeded": lambda place: inspect.list_runs(place.app, OPERATOR, Selector(states=("succeeded",))),
    "list of a kind": lambda place: inspect.list_runs(place.app, OPERATOR, Selector(kinds=("Noop",))),
    "errors of a day": lambda place: error_groups(place.app, OPERATOR, since=datetime.now(UTC) - timedelta(days=1)),
}
PAGES = ("/", "/runs", "/runs?state=succeeded", "/dead", "/errors", "/queues")


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places(max_wal_size="8GB") as there:
        for _ in range(given.repeats):
            for system in ("empty", "no history", "with history"):
                with there.ledger(POSTGRESQL) as place:
                    if system == "with history":
                        enable(place)
                        fill_history(place, given.ended, months=given.months)
                    if system != "empty":
                        fill_hot(place, given.latest, ago=timedelta(hours=1), span=timedelta(minutes=50))
                    fill(place, given.runs if system == "empty" else given.waiting)
                    _measure(place, figures, system, given.runs)


def _measure(place: Place, figures: Figures, system: str, runs: int) -> None:
    for name, read in READS.items():
        figures.add(name, system, "ms", _typical(lambda read=read: read(place)))  # type: ignore[misc]
    _pages(place, figures, system)
    figures.add("enqueue, p50", system, "ms", _typical(lambda: Noop(a=1).enqueue(), times=500))
    took = _claims(place, runs // 4 // BATCH)
    figures.add(f"claim of {BATCH}, p50", system, "ms", percentile(took, 0.5))
    figures.add(f"claim of {BATCH}, p99", system, "ms", percentile(took, 0.99))
    figures.add("drain", system, "runs/s", drain(place, runs // 2).rate)
    if system == "with history":
        _drop(place, figures)


def _typical(do: Callable[[], object], *, times: int = TIMES) -> float:
    """Milliseconds, the median of several."""
    took = []
    for _ in range(times):
        with stopwatch() as spent:
            do()
        took.append(spent() * 1000)
    return percentile(took, 0.5)


def _pages(place: Place, figures: Figures, system: str) -> None:
    with serving(place) as base:
        headers = {"Cookie": sign_in(place.app, base), "Accept": "text/html"}
        with closing(Asker(base, headers)) as asker:
            for path in PAGES:
                asker.ask(path)  # The first one builds its statements and its template.
                figures.add(f"page {path}", system, "ms", _typical(lambda path=path: asker.ask(path)))  # type: ignore[misc]


def _claims(place: Place, count: int) -> list[float]:
    """Claim and settle as a worker does, without one. Returns the milliseconds of each claim."""
    own, took = place.app.database.own_connection(), []
    assert own is not None
    with closing(own), own.opened() as direct:
        for _ in range(count):
            with stopwatch() as spent:
                claims = claim_due_direct(
                    direct, ["default"], count=BATCH, kinds=["Noop"], worker="bench", lease=timedelta(minutes=5)
                )
            took.append(spent() * 1000)
            now = place.app.clock.monotonic()
            done = [
                AttemptResult(claim=one, outcome=Outcome.SUCCEEDED, elapsed_seconds=0.001, ended_monotonic=now)
                for one in claims
            ]
            with place.app.database.direct() as settling:
                settle_plain(settling, done, worker="bench", monotonic=now)
    return took


def _drop(place: Place, figures: Figures) -> None:
    """Drop the largest partitions while another connection enqueues and reads; how long did that one wait at most?"""
    with place.app.database.read() as connection:
        every = partitions.partitions(connection, None)
    over = threading.Event()
    slowest = [0.0, 0.0]

    def use() -> None:
        while not over.is_set():
            for number, do in enumerate((lambda: Noop(a=1).enqueue(), lambda: READS["list succeeded"](place))):
                began = time.perf_counter()
                do()
                slowest[number] = max(slowest[number], time.perf_counter() - began)

    def during(drops: list[partitions.Partition]) -> float:
        slowest[:] = [0.0, 0.0]
        over.clear()
        thread = threading.Thread(target=use)
        thread.start()
        try:
            time.sleep(1.0)
            with stopwatch() as spent:
                for one in drops:
                    partitions.drop(place.app.database, one)
            time.sleep(max(0.0, 1.0 - spent()))
        finally:
            over.set()
            thread.join()
        return spent()

    during([])
    figures.add("slowest enqueue before the drop", "with history", "ms", slowest[0] * 1000)
    figures.add("slowest list before the drop", "with history", "ms", slowest[1] * 1000)
    month = max(every, key=lambda one: one.bytes).period
    of_month = sorted((one for one in every if one.period == month), key=lambda one: one.twin == "job_history")
    rows = sum(one.rows for one in of_month if one.twin == "job_history")
    spent = during([one for one in of_month if one.rule == "succeeded"])
    figures.add("drop of a month", "with history", "s", spent, rows=rows)
    figures.add("slowest enqueue during the drop", "with history", "ms", slowest[0] * 1000)
    figures.add("slowest list during the drop", "with history", "ms", slowest[1] * 1000)


if __name__ == "__main__":
    program(
        "history",
        run,
        ended=(1_000_000, "runs in history (20000000 for the whole)"),
        months=(12, "that they ended in"),
        latest=(50_000, "ended runs in the hot tables"),
        waiting=(100_000, "runs that wait (1000000 for the whole)"),
        runs=(60_000, "that wait in the empty ledger; half of them are drained"),
    )
