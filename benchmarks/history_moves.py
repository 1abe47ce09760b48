"""Moves of ended runs to history: how fast, what a drain loses to them, and how the hot tables grow over a churn.

*Pace*: a worker drains a backlog while it moves runs that ended before, and the same without history, in turns.
*Churn*: runs are enqueued, drained and moved for a while; the hot tables should not grow. Beside it a ledger whose
pruner deletes the same runs.
"""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import psycopg

from benchmarks.backlog import fill
from benchmarks.kit.ended import drain, enable, fill_hot
from benchmarks.kit.figures import Figures, program, stopwatch
from benchmarks.kit.modes import POSTGRESQL
from benchmarks.kit.places import Place, places
from jobs.upkeep import history

MOVED = "select count(*) from job_history"
WRITTEN = "select pg_current_wal_insert_lsn() - '0/0'"
BYTES = (
    "select sum(pg_total_relation_size(leaf.oid)), clock_timestamp() from pg_class as leaf"
    " where leaf.relname like 'job\\_history\\_%' and leaf.relkind = 'r'"
)
"""Of the runs in history; a count would read them all."""
SIZE = "select sum(pg_total_relation_size(cast(one as regclass))) from unnest(%s::text[]) as one"
HOT = ["job_runs", "job_attempts"]
LEASE = "1s"
"""In the churn runs move four leases after their end."""


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places(max_wal_size="8GB") as there:
        for _ in range(given.repeats):
            for system in ("no moves", "moves"):
                with there.ledger(POSTGRESQL) as place:
                    if system == "moves":
                        enable(place)
                    fill_hot(place, given.moved, ago=timedelta(hours=2), span=timedelta(hours=1))
                    fill(place, given.runs)
                    _pace(place, figures, system, given.runs)
                    if system == "moves":
                        _alone(place, figures)
        for system in ("moves", "deletes") if given.churn else ():
            lease = {"JOBS_LEASE": LEASE} if system == "moves" else {"JOBS_RETAIN_SUCCEEDED": "4s"}
            with there.ledger(POSTGRESQL, **lease) as place:
                if system == "moves":
                    enable(place)
                _churn(place, figures, system, given.churn, at_once=given.runs)


def _pace(place: Place, figures: Figures, system: str, runs: int) -> None:
    looks: list[tuple[datetime, float]] = []

    def look() -> None:
        size, at = place.sql(BYTES)
        looks.append((at, float(size or 0)))

    drained = drain(place, runs, during=look if system == "moves" else lambda: None)
    figures.add("drain", system, "runs/s", drained.rate)
    if system == "moves":
        look()
        within = [one for one in looks if drained.began <= one[0] <= drained.ended]
        (first_at, first), (last_at, last) = within[0], within[-1]
        a_byte = place.sql(MOVED)[0] / looks[-1][1]
        figures.add(
            "moved during the drain", system, "runs/s", (last - first) * a_byte / (last_at - first_at).total_seconds()
        )


def _alone(place: Place, figures: Figures) -> None:
    """What is left, moved with nothing beside it."""
    before, written, seconds = place.sql(MOVED)[0], place.sql(WRITTEN)[0], place.server_seconds()
    mover = history.Mover(place.app)
    with stopwatch() as spent, patch.object(history, "TURN_SECONDS", 60.0):
        mover.turn()
    moved = float(place.sql(MOVED)[0] - before)
    figures.add("moved alone", "moves", "runs/s", moved / spent())
    figures.add("server's processor time of a move", "moves", "µs", (place.server_seconds() - seconds) / moved * 1e6)
    figures.add("write-ahead log of a move", "moves", "bytes", float(place.sql(WRITTEN)[0] - written) / moved)


def _churn(place: Place, figures: Figures, system: str, count: int, *, at_once: int) -> None:
    """Keep ``at_once`` runs waiting while a worker drains and moves, until ``count`` have gone through."""
    sizes: list[tuple[int, float]] = []
    with closing(psycopg.connect(place.database_url, autocommit=True)) as connection:

        def look(statement: str, *values: Any) -> Any:
            return (connection.execute(statement.encode(), values).fetchone() or [0])[0]

        fill(place, at_once)
        done = at_once
        with place.worker(), stopwatch() as spent:
            while done < count:
                time.sleep(0.25)
                waiting = look("select count(*) from job_runs where state = 'queued'")
                if waiting < at_once // 2:
                    fill(place, at_once // 2)
                    done += at_once // 2
                    sizes.append((done, float(look(SIZE, HOT))))
            while look("select count(*) from job_runs where state = 'queued'"):
                time.sleep(0.25)
            figures.add("churn", system, "runs/s", count / spent())
    first = max(size for at, size in sizes if at <= count // 4)
    figures.add("hot tables after the first quarter of the churn", system, "MB", first / 1e6)
    figures.add("hot tables at the end of the churn", system, "MB", sizes[-1][1] / 1e6)
    figures.add("growth", system, "×", sizes[-1][1] / first)


if __name__ == "__main__":
    program(
        "history_moves",
        run,
        runs=(100_000, "to drain; of the churn, that wait at most"),
        moved=(400_000, "ended runs in the hot tables"),
        churn=(0, "runs of the churn (5000000 for a day in fast motion)"),
    )
