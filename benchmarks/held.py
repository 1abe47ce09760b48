"""The cost of a transaction that stays open: dead rows cannot be removed, and every claim may read them.

Claims and ends batches of 100 on a ledger of its own; then again, while a snapshot from before the first run stays
open and keeps every dead row since.
"""

from __future__ import annotations

import argparse
import time
from datetime import timedelta

import psycopg
from sqlalchemy import text

from benchmarks.kit.figures import Figures, percentile, program
from benchmarks.kit.modes import FLEET, POSTGRESQL
from benchmarks.kit.places import Place, places
from benchmarks.kit.work import Noop
from jobs import enqueue_many
from jobs.ledger.records import AttemptResult
from jobs.ledger.runs.claim import claim, claim_due
from jobs.ledger.runs.settle import settle
from jobs.states import Outcome

BATCH = 100
LEASE = timedelta(seconds=30)


def turn_over(place: Place, runs: int) -> list[float]:
    """Claim and settle ``runs`` runs, a hundred at a time. Returns the milliseconds of each claim."""
    ids = [one.id for one in enqueue_many([Noop(a=number) for number in range(runs)])]
    database, took = place.app.database, []
    for start in range(0, runs, BATCH):
        began = time.perf_counter()
        with database.write() as connection:
            if place.mode == FLEET:
                claims = claim(connection, ids[start : start + BATCH], kinds=["Noop"], worker="bench", lease=LEASE)
            else:
                claims = claim_due(connection, "default", count=BATCH, kinds=["Noop"], worker="bench", lease=LEASE)
        took.append((time.perf_counter() - began) * 1000)
        if len(claims) != BATCH:
            raise SystemExit(f"{len(claims)} claims of {BATCH}")
        now = time.monotonic()
        ends = [
            AttemptResult(claim=one, outcome=Outcome.SUCCEEDED, elapsed_seconds=0.0, ended_monotonic=now)
            for one in claims
        ]
        with database.write() as connection:
            settle(connection, ends, worker="bench", poison_after=3, monotonic=now)
    return took


def measure(place: Place, given: argparse.Namespace, figures: Figures) -> None:
    calm = turn_over(place, given.runs)
    with psycopg.connect(place.database_url) as holder:
        holder.execute("set transaction isolation level repeatable read")
        holder.execute("select count(*) from job_runs")
        turn_over(place, given.tail)
        with place.app.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("vacuum analyze job_runs"))
        held = turn_over(place, given.runs)
    for name, took in (("nothing held", calm), (f"a snapshot held, a tail of {given.tail:,} runs", held)):
        figures.add(f"claim of {BATCH}, {name}, p50", place.mode, "ms", percentile(took, 0.5))
        figures.add(f"claim of {BATCH}, {name}, p99", place.mode, "ms", percentile(took, 0.99))


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there:
        for _ in range(given.repeats):
            for mode in (FLEET, POSTGRESQL):
                with there.ledger(mode) as place:
                    measure(place, given, figures)


if __name__ == "__main__":
    program("held", run, runs=(5_000, "claimed and settled"), tail=(20_000, "runs that leave dead rows"))
