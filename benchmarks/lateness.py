"""Lateness: how long after their due time delayed runs and retries start, by the ledger's records."""

from __future__ import annotations

import argparse
from datetime import timedelta

from sqlalchemy import text

from benchmarks.kit.figures import Figures, percentile, program
from benchmarks.kit.modes import SQLITE
from benchmarks.kit.places import Place, in_turns, wait_for
from benchmarks.kit.work import Fails, Late, Noop

LEFT = "select 1 from job_runs where state in ('queued', 'running') limit 1"
DUE = "select {late} from job_runs r join job_attempts a on a.run_id = r.id where r.kind = 'Noop'"
RETRIED = (
    "select {late} from job_attempts a join job_attempts f on f.run_id = a.run_id and f.attempt = 1 where a.attempt = 2"
)


def milliseconds(place: Place, due: str) -> str:
    """Seconds from a moment to the start of attempt ``a``."""
    if place.mode == SQLITE:
        return f"(julianday(a.started_at) - julianday({due})) * 86400000"
    return f"extract(epoch from a.started_at - {due})::float8 * 1000"


def measure(place: Place, given: argparse.Namespace, figures: Figures) -> None:
    with place.worker():
        # It must be ready before the first run is due.
        Late(sent=0.0).enqueue()
        wait_for(lambda: place.sql("select 1 from job_runs where kind = 'Late' and state = 'succeeded'"))
        for number in range(given.runs):
            delay = timedelta(seconds=1 + given.seconds * number / given.runs)
            Noop(a=number).enqueue(delay=delay)
            Fails(a=number).enqueue()
        wait_for(lambda: not place.sql(LEFT))
    for what, question, due in (("due runs", DUE, "r.run_at"), ("retries", RETRIED, "f.retry_at")):
        with place.app.database.read() as connection:
            late = [float(row[0]) for row in connection.execute(text(question.format(late=milliseconds(place, due))))]
        if len(late) != given.runs:
            raise SystemExit(f"{len(late)} {what}, and {given.runs} were to be")
        for name, share in (("p50", 0.5), ("p99", 0.99), ("longest", 1.0)):
            figures.add(f"lateness of {what}, {name}", place.mode, "ms", percentile(late, share))


def run(given: argparse.Namespace, figures: Figures) -> None:
    in_turns(given.repeats, lambda place: measure(place, given, figures))


if __name__ == "__main__":
    program("lateness", run, runs=(150, "of each sort"), seconds=(4.0, "over which they fall due"))
