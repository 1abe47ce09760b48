"""What waiting costs: a join of many children beside as many plain runs, a signal beside an enqueue, and waiting runs
beside a drain.

All three compare two things in the same run of the program, by the ledger's own moments.
"""

from __future__ import annotations

import argparse
from statistics import median

import jobs
from benchmarks.kit.figures import Figures, program
from benchmarks.kit.modes import POSTGRESQL
from benchmarks.kit.places import Place, Places, places, wait_for
from benchmarks.kit.work import Answered, Joined, Noop
from jobs import enqueue_many

LEFT = (
    "select 1 where exists (select 1 from job_runs where state = 'running') or exists (select 1 from job_runs"
    " where state = 'queued' and queue = 'default' and priority = 0 and run_at <= statement_timestamp())"
)
"""By the indexes of leases and of ready runs, so that asking costs nothing beside many that wait."""
SPAN = "select extract(epoch from max(finished_at) - min(created_at))::float8 from job_runs where kind = '{kind}'"
WAITING = 100_000
SIGNALS = 200


def plain(place: Place, runs: int) -> float:
    """Seconds for ``runs`` plain runs, from the enqueue of the first to the end of the last."""
    enqueue_many([Noop(a=number) for number in range(runs)])
    with place.worker():
        wait_for(lambda: not place.sql(LEFT), every=0.1)
    return float(place.sql(SPAN.format(kind="Noop"))[0])


def joined(place: Place, runs: int) -> float:
    """Seconds for a run with ``runs`` children, from its enqueue to its end."""
    Joined(children=runs).enqueue()
    with place.worker():
        wait_for(lambda: place.sql("select 1 from job_runs where kind = 'Joined' and state = 'succeeded'"), every=0.1)
    return float(place.sql(SPAN.format(kind="Joined"))[0])


def signals(place: Place) -> tuple[float, float]:
    """Milliseconds from an enqueue to the start of its run, and from a signal to the start of the attempt it wakes."""
    starts: list[float] = []
    wakes: list[float] = []
    with place.worker():
        for number in range(SIGNALS):
            run_id = Noop(a=number).enqueue().id
            wait_for(lambda run_id=run_id: jobs.find(run_id).state == "succeeded", every=0.005)
            run = jobs.find(run_id)
            starts.append((jobs.attempts(run_id)[0].started_at - run.created_at).total_seconds() * 1000)
            waiting = Answered().enqueue().id
            wait_for(lambda run_id=waiting: jobs.find(run_id).hold is not None, every=0.005)
            jobs.signal(waiting, "answer")
            wait_for(lambda run_id=waiting: jobs.find(run_id).state == "succeeded", every=0.005)
            sent = place.sql(f"select sent_at from job_signals where run_id = '{waiting}'")[0]
            wakes.append((jobs.attempts(waiting)[-1].started_at - sent).total_seconds() * 1000)
    return median(starts), median(wakes)


def hold_many(place: Place, count: int) -> None:
    """Runs that wait for a signal, written as a suspended attempt leaves them."""
    enqueue_many([Answered() for _ in range(count)])
    with place.app.database.write() as connection:
        connection.exec_driver_sql(
            "update job_runs set attempt = 1, hold = 'waiting', held_on = 'signal:answer', held_at = now(),"
            " run_at = '9999-12-31 00:00:00+00' where kind = 'Answered'"
        )
    with place.app.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("vacuum analyze job_runs")


def turn(there: Places, runs: int, figures: Figures) -> None:
    with there.ledger(POSTGRESQL) as place:
        alone = plain(place, runs)
        figures.add("plain runs, enqueue to last end", POSTGRESQL, "runs/s", runs / alone)
    with there.ledger(POSTGRESQL) as place:
        together = joined(place, runs)
        figures.add("children of one gather, enqueue to join", POSTGRESQL, "runs/s", runs / together)
        figures.add("time of the join beside the plain runs", POSTGRESQL, "times", together / alone)
    with there.ledger(POSTGRESQL) as place:
        enqueue_ms, signal_ms = signals(place)
        figures.add("enqueue to start, p50", POSTGRESQL, "ms", enqueue_ms)
        figures.add("signal to start, p50", POSTGRESQL, "ms", signal_ms)
    with there.ledger(POSTGRESQL) as place:
        hold_many(place, WAITING)
        beside = plain(place, runs)
        figures.add(f"plain runs beside {WAITING:,} that wait", POSTGRESQL, "runs/s", runs / beside)


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there:
        for _ in range(given.repeats):
            turn(there, given.runs, figures)


if __name__ == "__main__":
    program("workflows", run, runs=(10_000, "how many children, and plain runs"))
