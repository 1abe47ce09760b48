"""Long jobs beside short ones: a worker claims no more than its share, and a short job waits for a thread, not for a
batch.

One worker with 8 threads gets jobs of 2 s. A second worker, started later, should have its 8 threads busy at once.
Then, with all threads of one worker busy and more long jobs waiting, one short job with a smaller priority number is
enqueued: it should begin when the first thread is free.
"""

from __future__ import annotations

import argparse
import time

from benchmarks.kit.figures import Figures, program
from benchmarks.kit.modes import MODES, SQLITE
from benchmarks.kit.places import Place, places, wait_for
from benchmarks.kit.work import Noop, Sleeps
from jobs import enqueue_many

THREADS = 8
LONG = 2.0
RUNNING = "select count(*) from job_runs where state = 'running'"
WORKERS = "select count(*) from job_workers"
STARTED = "select min(started_at), max(started_at) from job_runs where started_at is not null"


def share(place: Place, figures: Figures) -> None:
    """How soon a second worker has its share of the runs that wait for a first one."""
    enqueue_many([Sleeps(seconds=LONG) for _ in range(10 * THREADS)])
    with place.worker():
        wait_for(lambda: place.sql(RUNNING)[0] >= THREADS)
        with place.worker():
            wait_for(lambda: place.sql(WORKERS)[0] >= 2, every=0.005)
            began = time.perf_counter()
            wait_for(lambda: place.sql(RUNNING)[0] >= 2 * THREADS, every=0.005)
            took = (time.perf_counter() - began) * 1000
    figures.add("a second worker beside a busy one has its 8 runs of 2 s after", place.mode, "ms", took)


def overtake(place: Place, figures: Figures) -> None:
    """How long after a thread is free an urgent short job starts, with long ones ahead of it in the queue."""
    enqueue_many([Sleeps(seconds=LONG) for _ in range(3 * THREADS)])
    with place.worker():
        wait_for(lambda: place.sql(RUNNING)[0] >= THREADS)
        time.sleep(0.5)
        run_id = Noop(a=1).enqueue(priority=-10).id
        wait_for(lambda: place.sql("select 1 from job_runs where kind = 'Noop' and state = 'succeeded'"))
        if place.mode == SQLITE:
            question = "select (julianday(n.started_at) - julianday(f.free_at)) * 86400000"
        else:
            question = "select extract(epoch from n.started_at - f.free_at)::float8 * 1000"
        question += (
            " from job_attempts n, (select min(finished_at) as free_at from job_attempts where worker is not null) f"
            " where n.run_id = :run_id"
        )
        late = place.sql(question, run_id=run_id.hex if place.mode == SQLITE else run_id)[0]
    figures.add("an urgent short job behind long ones begins, after the first thread is free", place.mode, "ms", late)


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there:
        for _ in range(given.repeats):
            for mode in MODES:
                with there.ledger(mode) as place:
                    share(place, figures)
                with there.ledger(mode) as place:
                    overtake(place, figures)


if __name__ == "__main__":
    program("mixed", run)
