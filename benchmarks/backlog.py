"""Whether a long backlog slows a worker: drains the same number of runs with 20,000 and with a million waiting."""

from __future__ import annotations

import argparse

from sqlalchemy import text

from benchmarks.kit.figures import Figures, program
from benchmarks.kit.modes import FLEET, POSTGRESQL
from benchmarks.kit.places import Place, places, wait_for
from benchmarks.kit.work import TEXT
from jobs import boot
from jobs.upkeep.reconcile import rebuild

FILL = (
    "insert into job_runs (id, kind, queue, priority, arguments, arguments_version, state, attempt, charged, crashes,"
    " abandonments, max_attempts, run_at, created_at, state_at, has_followups)"
    " select gen_random_uuid(), 'Noop', 'default', 0, json_build_object('a', n, 'b', cast(:text as text)), 1, 'queued',"
    " 0, 0, 0, 0, 10, now() - interval '1 hour' + n * interval '1 microsecond', now(), now(), false"
    " from generate_series(cast(:first as integer), cast(:last as integer)) as n"
)
AT_ONCE = 50_000
"""Runs per statement: a million in one take longer than a connection waits for an answer."""
DONE = "select count(*) from job_attempts"
SPAN = (
    "select count(*), extract(epoch from max(finished_at) - min(started_at))::float8 from job_attempts"
    " where run_id not in (select run_id from seen)"
)


def fill(place: Place, count: int) -> None:
    """Add ``count`` waiting runs, and add them to the ready index."""
    for begin in range(0, count, AT_ONCE):
        with place.app.database.write() as connection:
            values = {"first": begin + 1, "last": min(begin + AT_ONCE, count), "text": TEXT}
            connection.execute(text(FILL), values)
    with place.app.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("analyze job_runs"))
    if place.app.ready is not None:
        rebuild(boot.current())


def drain(place: Place, runs: int) -> float:
    """Drain the next ``runs`` runs; returns runs per second."""
    with place.app.database.write() as connection:
        connection.execute(text("create table if not exists seen (run_id uuid primary key)"))
        connection.execute(text("insert into seen select run_id from job_attempts on conflict do nothing"))
    before = place.sql(DONE)[0]
    with place.worker():
        wait_for(lambda: place.sql(DONE)[0] >= before + runs)
    count, seconds = place.sql(SPAN)
    return float(count / seconds)


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there:
        for mode in (FLEET, POSTGRESQL):
            with there.ledger(mode) as long:
                fill(long, given.backlog)
                for _ in range(given.repeats):
                    with there.ledger(mode) as short:
                        fill(short, given.runs)
                        figures.add("drain, 20,000 queued", mode, "runs/s", drain(short, given.runs))
                    # The ready index is one for all ledgers on its server: it holds this one's again.
                    boot.configure(long.app)
                    if long.app.ready is not None:
                        long.app.ready.wipe()
                        long.app.ready.mark_intact()
                        rebuild(long.app)
                    figures.add("drain, 1,000,000 queued", mode, "runs/s", drain(long, given.runs))


if __name__ == "__main__":
    program("backlog", run, runs=(20_000, "to perform"), backlog=(1_000_000, "runs that wait"))
