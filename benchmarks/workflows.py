"""What waiting costs: a join of many children beside as many plain runs, a signal beside an enqueue, and waiting runs
beside a drain; also a join beside those of other libraries.

Each compares two things in the same round, by the ledger's own moments. ``--peers`` installs DBOS and Celery in
environments of their own, as ``benchmarks.peers`` does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import jobs
from benchmarks.kit.figures import Figures, program
from benchmarks.kit.modes import FLEET, POSTGRESQL
from benchmarks.kit.places import Place, Places, places, wait_for
from benchmarks.kit.processes import cpu_seconds, tree
from benchmarks.kit.work import Answered, Joined, Noop
from benchmarks.peers import joins
from jobs import enqueue_many

LEFT = (
    "select 1 where exists (select 1 from job_runs where state = 'running') or exists (select 1 from job_runs"
    " where state = 'queued' and queue = 'default' and priority = 0 and run_at <= statement_timestamp())"
)
"""By the indexes of leases and of ready runs, so that asking costs nothing beside many that wait."""
SPAN = "select extract(epoch from max(finished_at) - min(created_at))::float8 from job_runs where kind = '{kind}'"
DRAIN = (
    "select extract(epoch from max(a.finished_at) - min(a.started_at))::float8"
    " from job_attempts a join job_runs r on r.id = a.run_id where r.kind = 'Noop'"
)
WARM = 200
KEPT = ("job_steps", "job_batches", "job_attempts", "job_runs")


@contextmanager
def warm_worker(place: Place) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that has performed plain runs and a gather, so that no statement is its first; their rows are gone."""
    with place.worker() as worker:
        enqueue_many([Noop(a=number) for number in range(WARM)])
        Joined(children=WARM).enqueue()
        wait_for(lambda: place.sql("select 1 from job_runs where kind = 'Joined' and state = 'succeeded'"))
        wait_for(lambda: not place.sql(LEFT))
        with place.app.database.write() as connection:
            for table in KEPT:
                connection.exec_driver_sql(f"delete from {table}")
        yield worker


def plain(place: Place, runs: int) -> tuple[float, float]:
    """Seconds for ``runs`` plain runs, from the enqueue of the first to the end of the last; and of processor time."""
    with warm_worker(place) as worker:
        before = used(place, worker)
        enqueue_many([Noop(a=number) for number in range(runs)])
        wait_for(lambda: not place.sql(LEFT))
        return float(place.sql(SPAN.format(kind="Noop"))[0]), used(place, worker) - before


def joined(place: Place, runs: int) -> tuple[float, float]:
    """Seconds for a run with ``runs`` children, from its enqueue to its end; and of processor time."""
    with warm_worker(place) as worker:
        before = used(place, worker)
        Joined(children=runs).enqueue()
        wait_for(lambda: place.sql("select 1 from job_runs where kind = 'Joined' and state = 'succeeded'"))
        return float(place.sql(SPAN.format(kind="Joined"))[0]), used(place, worker) - before


def used(place: Place, worker: subprocess.Popen[bytes]) -> float:
    """Seconds of processor time so far: this process, the worker's, and the servers."""
    return cpu_seconds([os.getpid(), *tree(worker.pid)]) + place.server_seconds()


def drained(place: Place, runs: int) -> float:
    """Seconds for ``runs`` plain runs that are there, from the start of the first to the end of the last."""
    enqueue_many([Noop(a=number) for number in range(runs)])
    with place.worker():
        wait_for(lambda: not place.sql(LEFT), every=0.1)
    return float(place.sql(DRAIN)[0])


def signals(place: Place, count: int) -> tuple[float, float]:
    """Milliseconds from an enqueue to the start of its run, and from a signal to the start of the attempt it wakes."""
    starts: list[float] = []
    wakes: list[float] = []
    with place.worker():
        for number in range(count):
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
    if place.app.ready is not None:
        place.app.ready.wipe()
        place.app.ready.mark_intact()
    with place.app.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("vacuum analyze job_runs")


def turn(there: Places, mode: str, given: argparse.Namespace, figures: Figures) -> None:
    with there.ledger(mode) as place:
        alone, alone_used = plain(place, given.runs)
        figures.add("plain runs, enqueue to last end", mode, "runs/s", given.runs / alone)
    with there.ledger(mode) as place:
        together, together_used = joined(place, given.runs)
        figures.add("children of one gather, enqueue to join", mode, "runs/s", given.runs / together)
    figures.add("time of the join against the plain runs", mode, "times", together / alone)
    figures.add("plain runs: processor time", mode, "µs/run", alone_used / given.runs * 1e6)
    figures.add("children: processor time", mode, "µs/run", together_used / given.runs * 1e6)
    figures.add("processor time of the join against the plain runs", mode, "times", together_used / alone_used)
    if given.joins_only:
        return
    with there.ledger(mode) as place:
        enqueue_ms, signal_ms = signals(place, given.signals)
        figures.add("enqueue to start, p50", mode, "ms", enqueue_ms)
        figures.add("signal to start, p50", mode, "ms", signal_ms)
        figures.add("signal to start against enqueue to start", mode, "times", signal_ms / enqueue_ms)
    with there.ledger(mode) as place:
        without = drained(place, given.drained)
    with there.ledger(mode) as place:
        hold_many(place, given.waiting)
        beside = drained(place, given.drained)
    figures.add("drain, none waiting", mode, "runs/s", given.drained / without)
    figures.add(f"drain beside {given.waiting:,} that wait", mode, "runs/s", given.drained / beside)
    figures.add("speed of the drain beside those that wait", mode, "times", without / beside)


def run(given: argparse.Namespace, figures: Figures) -> None:
    peers = joins.ready() if given.peers else {}
    with places() as there:
        for _ in range(given.repeats):
            for mode in (POSTGRESQL, FLEET):
                turn(there, mode, given, figures)
            for peer, python in peers.items():
                joins.measure(peer, python, there, given.width, figures)


if __name__ == "__main__":
    program(
        "workflows", run,
        runs=(10_000, "how many children, and plain runs"), waiting=(100_000, "runs that wait for a signal"),
        drained=(20_000, "plain runs drained beside them"), signals=(200, "signals, and enqueues, timed"),
        joins_only=(0, "1: only the join beside the plain runs"),
        peers=(0, "1: also the joins of DBOS and Celery, and ours beside them"),
        width=(1_000, "children of each of those joins"),
    )  # fmt: skip
