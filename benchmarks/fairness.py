"""How four processes share one SQLite file: the least share of the runs that one of them performed."""

from __future__ import annotations

import argparse

from sqlalchemy import text

from benchmarks.drain import LEFT, SPAN
from benchmarks.kit.figures import Figures, program
from benchmarks.kit.modes import SQLITE
from benchmarks.kit.places import Place, places, wait_for
from benchmarks.kit.work import Noop
from jobs import enqueue_many

PROCESSES = 4
BY_WORKER = "select count(*) from job_attempts where started_at >= :since group by worker"
ALL_BEGUN = "select max(began) from (select min(started_at) as began from job_attempts group by worker)"


def measure(place: Place, runs: int, figures: Figures) -> None:
    enqueue_many([Noop(a=number) for number in range(runs)])
    with place.worker(JOBS_PROCESSES=str(PROCESSES)):
        wait_for(lambda: not place.sql(LEFT))
    count, seconds = place.sql(SPAN["sqlite"])
    with place.app.database.read() as connection:
        # From the moment when all of them had started: a later start is not unfair treatment.
        since = connection.execute(text(ALL_BEGUN)).scalar_one()
        shares = [int(row[0]) for row in connection.execute(text(BY_WORKER), {"since": since})]
    if len(shares) != PROCESSES:
        raise SystemExit(f"{len(shares)} of {PROCESSES} processes performed anything")
    figures.add(f"drain, {PROCESSES} processes", SQLITE, "runs/s", count / seconds)
    figures.add(f"least share of {PROCESSES} processes", SQLITE, "of 1", min(shares) / sum(shares))


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there:
        for _ in range(given.repeats):
            with there.ledger(SQLITE) as place:
                measure(place, given.runs, figures)


if __name__ == "__main__":
    program("fairness", run, runs=(20_000, "how long the backlog is"))
