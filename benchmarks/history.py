"""What history costs and saves: reads and a drain beside many ended runs, moves during a drain, and a drop."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import psycopg
from sqlalchemy import text

from benchmarks.backlog import drain, fill
from benchmarks.kit.figures import Figures, percentile, program, stopwatch
from benchmarks.kit.modes import POSTGRESQL
from benchmarks.kit.places import Place, places
from benchmarks.kit.work import TEXT, Noop
from jobs.ledger.history import partitions
from jobs.ledger.history.periods import Period, period_of
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.control.history import enable_history
from jobs.operations.insight.dead_letters import error_groups
from jobs.operations.runs import inspect
from jobs.upkeep import history

OPERATOR = Operator("bench")
COLUMNS = (
    "id, kind, queue, priority, arguments, arguments_version, state, attempt, charged, crashes, abandonments,"
    " max_attempts, run_at, created_at, started_at, finished_at, state_at, has_followups"
)
ENDED = (
    f"insert into %s ({COLUMNS}%s) select gen_random_uuid(), 'Noop', 'default', 0,"
    " json_build_object('a', n, 'b', cast(:text as text)), 1, 'succeeded', 1, 1, 0, 0, 10, at, at, at, at, at, false%s"
    " from (select n, cast(:first as timestamptz) + (n %% cast(:seconds as integer)) * interval '1 second' as at"
    " from generate_series(1, cast(:count as integer)) as n) as ended"
)
AT_ONCE = 100_000
READS: dict[str, Callable[[Place], object]] = {
    "status": lambda place: inspect.status(place.app, OPERATOR),
    "list": lambda place: inspect.list_runs(place.app, OPERATOR, Selector()),
    "list succeeded": lambda place: inspect.list_runs(place.app, OPERATOR, Selector(states=("succeeded",))),
    "errors": lambda place: error_groups(place.app, OPERATOR, since=datetime.now(UTC) - timedelta(days=1)),
}


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there:
        for _ in range(given.repeats):
            with there.ledger(POSTGRESQL) as empty:
                _reads(empty, figures, "empty")
                fill(empty, given.runs)
                figures.add("drain", "empty", "runs/s", drain(empty, given.runs))
            with there.ledger(POSTGRESQL) as old:
                enable(old)
                _fill_history(old, given.ended, given.months)
                fill(old, given.waiting)
                _reads(old, figures, "with history")
                figures.add("drain", "with history", "runs/s", drain(old, given.runs))
                _drop(old, figures)
            with there.ledger(POSTGRESQL) as moving:
                enable(moving)
                _fill_hot(moving, given.moved)
                fill(moving, given.runs)
                before = moving.sql("select count(*) from job_history")[0]
                with stopwatch() as spent:
                    figures.add("drain", "while runs move", "runs/s", drain(moving, given.runs))
                after = moving.sql("select count(*) from job_history")[0]
                figures.add("moves during a drain", "while runs move", "runs/s", (after - before) / spent())
                figures.add("moves alone", "one mover", "runs/s", _move_alone(moving))


def enable(place: Place) -> None:
    """Let runs move at once."""
    enable_history(place.app, OPERATOR)
    with place.app.database.write() as connection:
        connection.execute(text("update job_history_settings set moves_after = now()"))


def _reads(place: Place, figures: Figures, system: str) -> None:
    for name, read in READS.items():
        times = []
        for _ in range(30):
            with stopwatch() as spent:
                read(place)
            times.append(spent() * 1000)
        figures.add(name, system, "ms", percentile(times, 0.5))


def _fill_history(place: Place, count: int, months: int) -> None:
    moment = datetime.now(UTC)
    periods: list[Period] = []
    for _ in range(months):
        periods.append(period_of(moment, "month"))
        moment = periods[-1].begin - timedelta(days=1)
    partitions.make_for(place.app.database, [("succeeded", one.begin) for one in periods], length="month")
    statement = ENDED % ("job_history", ", keep", ", 'succeeded'")
    for period in periods:
        _insert(place, statement, count // months, period.begin, 28 * 86400)
    _analyze(place, "job_history")


def _fill_hot(place: Place, count: int) -> None:
    _insert(place, ENDED % ("job_runs", "", ""), count, datetime.now(UTC) - timedelta(hours=2), 3600)
    _analyze(place, "job_runs")


def _insert(place: Place, statement: str, count: int, first: datetime, seconds: int) -> None:
    for begin in range(0, count, AT_ONCE):
        values = {"text": TEXT, "count": min(AT_ONCE, count - begin), "first": first, "seconds": seconds}
        with place.app.database.write() as connection:
            connection.execute(text(statement), values)


def _analyze(place: Place, table: str) -> None:
    with closing(psycopg.connect(place.database_url, autocommit=True)) as connection:
        connection.execute(f"vacuum analyze {table}".encode())


def _drop(place: Place, figures: Figures) -> None:
    """Drop the largest partition while another connection enqueues, and say how long that one waited at most."""
    with place.app.database.read() as connection:
        every = partitions.partitions(connection, None)
    largest = max(every, key=lambda one: one.bytes)
    over = threading.Event()
    slowest = [0.0]

    def enqueue() -> None:
        while not over.is_set():
            began = time.perf_counter()
            fill_one(place)
            slowest[0] = max(slowest[0], time.perf_counter() - began)

    thread = threading.Thread(target=enqueue)
    thread.start()
    try:
        time.sleep(0.5)
        with stopwatch() as spent:
            partitions.drop(place.app.database, largest)
    finally:
        over.set()
        thread.join()
    figures.add("drop a partition", "with history", "s", spent())
    figures.add("slowest enqueue meanwhile", "with history", "ms", slowest[0] * 1000)


def fill_one(place: Place) -> None:
    """Enqueue one run and read the latest runs."""
    Noop(a=1, b="").enqueue()
    inspect.list_runs(place.app, OPERATOR, Selector(states=("succeeded",)))


def _move_alone(place: Place) -> float:
    """What is left, moved with nothing beside it."""
    before = place.sql("select count(*) from job_history")[0]
    mover = history.Mover(place.app)
    with stopwatch() as spent, patch.object(history, "TURN_SECONDS", 30.0):
        mover.turn()
    return float(place.sql("select count(*) from job_history")[0] - before) / spent()


if __name__ == "__main__":
    program(
        "history",
        run,
        ended=(1_000_000, "runs in history (20000000 for the whole)"),
        waiting=(100_000, "runs that wait beside them (1000000 for the whole)"),
        months=(12, "partitions that they are in"),
        runs=(20_000, "to drain"),
        moved=(200_000, "ended runs in the hot table that move during a drain"),
    )
