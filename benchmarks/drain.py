"""How fast workers drain a backlog of runs that do nothing, compared with stock dramatiq in the same minute.

The workers are started by their own commands with default settings (8 threads; logs to a file). Ours are timed by
the ledger: from the start of the first attempt to the end of the last. Beside the speed: processor time, write-ahead
log, and statements and commits a run.
"""

from __future__ import annotations

import argparse

from benchmarks.kit import counted, stock
from benchmarks.kit.figures import Figures, program
from benchmarks.kit.modes import FLEET, POSTGRESQL, SQLITE, STOCK
from benchmarks.kit.places import Place, Places, places, wait_for
from benchmarks.kit.processes import cpu_seconds, tree
from benchmarks.kit.work import Noop
from jobs import enqueue_many

SPAN = {
    "postgresql": "select count(*), extract(epoch from max(finished_at) - min(started_at))::float8 from job_attempts",
    "sqlite": "select count(*), (julianday(max(finished_at)) - julianday(min(started_at))) * 86400 from job_attempts",
}
LEFT = "select 1 from job_runs where state in ('queued', 'running') limit 1"
WAL = "select pg_current_wal_insert_lsn() - '0/0'"
ONE, TWO = "drain, 1 process", "drain, 2 processes"


def drain(place: Place, runs: int, figures: Figures, measure: str, system: str, **settings: str) -> None:
    """Enqueue, then start a worker and wait until it is done."""
    enqueue_many([Noop(a=number) for number in range(runs)])
    has_wal = place.app.database.dialect == "postgresql"
    wal, served = place.sql(WAL)[0] if has_wal else 0, place.server_seconds()
    with place.worker(**settings) as worker:
        wait_for(lambda: not place.sql(LEFT), every=0.1)
        used, served = cpu_seconds(tree(worker.pid)), place.server_seconds() - served
        wal = place.sql(WAL)[0] - wal if has_wal else 0
    count, seconds = place.sql(SPAN[place.app.database.dialect])
    if count != runs:
        raise SystemExit(f"{count} attempts where {runs} runs were enqueued")
    figures.add(measure, system, "runs/s", runs / seconds)
    figures.add(f"{measure}: processor time of the worker", system, "µs/run", used / runs * 1e6)
    if has_wal:
        figures.add(f"{measure}: processor time of the servers", system, "µs/run", served / runs * 1e6)
        figures.add(f"{measure}: write-ahead log", system, "bytes/run", float(wal) / runs)


def count_statements(place: Place, runs: int, figures: Figures) -> None:
    """Once more, with what the worker asks of the database counted in it."""
    enqueue_many([Noop(a=number) for number in range(runs)])
    path = place.folder / "counts"
    counted.make(path)
    imports = "benchmarks.kit.counted,benchmarks.kit.work"
    with place.command("worker", "--metrics-port", "0", JOBS_IMPORTS=imports, BENCH_COUNTS=str(path)):
        wait_for(lambda: not place.sql(LEFT), every=0.1)
        statements, commits = counted.read(path)
    figures.add("statements and commits at full load", place.mode, "per run", (statements + commits) / runs)


def turn(there: Places, runs: int, figures: Figures) -> None:
    """Everybody once."""
    for measure, processes in ((ONE, 1), (TWO, 2)):
        figures.add(measure, STOCK, "runs/s", stock.drain(there.redis.url, runs, processes=processes))
        for mode in (FLEET, POSTGRESQL, SQLITE):
            with there.ledger(mode) as place:
                drain(place, runs, figures, measure, mode, JOBS_PROCESSES=str(processes))
    with there.ledger(FLEET) as place:
        drain(place, runs, figures, f"{ONE}, errors logged only", FLEET, JOBS_LOG_LEVEL="error")
    with there.ledger(POSTGRESQL) as place:
        errors_only = {"JOBS_PROCESSES": "2", "JOBS_LOG_LEVEL": "error"}
        drain(place, runs, figures, f"{TWO}, errors logged only", POSTGRESQL, **errors_only)
    with there.ledger(FLEET) as place:
        count_statements(place, runs, figures)


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there:
        for _ in range(given.repeats):
            turn(there, given.runs, figures)


if __name__ == "__main__":
    program("drain", run, runs=(20_000, "how long the backlog is"))
