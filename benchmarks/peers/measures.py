"""The measures of each library: enqueueing, draining, latency, and the resources of an idle worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from benchmarks.kit.figures import percentile
from benchmarks.kit.processes import pss_megabytes
from benchmarks.peers import body, names
from benchmarks.peers.peer import THREADS
from benchmarks.peers.station import Failed, Station, Workers

WARM = 20
"""Jobs before latency is measured."""
DRAIN_SECONDS = 240.0
STEP_SECONDS = 0.005
"""Between two looks at the files of the jobs, and, near the end, at the servers: a half percent of a second's drain."""

T = TypeVar("T")
Note = Callable[[str, str, float], None]
"""Takes a measure, its unit and its value."""


@dataclass(frozen=True)
class Sizes:
    """The amount of each measure."""

    calls: int = 2_000
    runs: int = 20_000
    seconds: float = 10.0
    slow_seconds: float = 10.0
    idle_seconds: float = 5.0


def enqueue(place: Station, sizes: Sizes, note: Note) -> None:
    """One caller; nothing takes the jobs."""
    took = place.client("one", max(1, int(sizes.calls * place.peer.share)))
    note(names.ONE, "jobs/s", took["rate"])
    note(names.ONE_CPU, "ms", took["cpu_ms"])


def drain(place: Station, sizes: Sizes, note: Note, *, processes: int) -> None:
    """From the first job that is executed to the last one executed, and to the last one recorded as done."""
    count = max(1, int(sizes.runs * place.peer.share))
    took = place.client("many", count)
    if took and processes == 1:
        note(names.MANY, "jobs/s", took["rate"])
    name = names.PROCESSES[processes]
    with place.worker(processes) as workers:
        wait = partial(until, workers)
        began = wait(lambda: body.executed(place.folder))
        used, served = workers.seconds(), place.server_seconds()
        # While most are under way only files are looked at: no server has work for that.
        wait(lambda: _jobs(place) >= count * 0.9)
        wait(lambda: not place.left())
        ended = time.monotonic()
        used, served = workers.seconds() - used, place.server_seconds() - served
        # Threads that count at the same moment can hide a job.
        wait(lambda: _jobs(place) >= count - THREADS * processes)
        found = wait(lambda: body.executed(place.folder))
    note(names.EXECUTED.format(processes=name), "jobs/s", (count - 1) / (found.last - found.first))
    if place.peer.settles:
        note(names.SETTLED.format(processes=name), "jobs/s", count / (ended - found.first))
    since = max(1, count - began.jobs)
    note(names.WORKER.format(processes=name), "µs/job", used / since * 1e6)
    note(names.SERVERS.format(processes=name), "µs/job", served / since * 1e6)


def keyed(place: Station, sizes: Sizes, note: Note, *, processes: int) -> None:
    """Jobs under limits by key, from the first that is executed to the last."""
    count = max(1, int(sizes.runs * place.peer.share))
    place.client("keyed", count)
    with place.worker(processes) as workers:
        # Threads that count at the same moment can hide a job.
        until(workers, lambda: _jobs(place) >= count - THREADS * processes)
        found = until(workers, lambda: body.executed(place.folder))
    note(
        names.KEYED.format(processes=names.PROCESSES[processes]),
        "jobs/s",
        (found.jobs - 1) / (found.last - found.first),
    )


def idle_and_late(place: Station, sizes: Sizes, note: Note) -> None:
    """Idle memory and processor time of one worker process, then its latency."""
    with place.worker(1) as workers:
        done = len(_sent(place, workers, WARM, WARM, done=0))
        time.sleep(1.0)
        used = workers.seconds()
        time.sleep(sizes.idle_seconds)
        note(names.IDLE, "% of a core", (workers.seconds() - used) / sizes.idle_seconds * 100)
        note(names.MEMORY, "MB", pss_megabytes(workers.pids()))
        for rate in names.RATES:
            count = max(1, int(rate * (sizes.seconds if rate > 1 else sizes.slow_seconds)))
            late = _sent(place, workers, count, rate, done=done)
            done += count
            for share in (50, 99):
                note(names.LATENCY.format(rate=rate, share=f"p{share}"), "ms", percentile(late, share / 100))


def _sent(place: Station, workers: Workers, count: int, rate: float, *, done: int) -> list[float]:
    place.client("late", count, rate)
    until(workers, lambda: len(body.latencies(place.folder)) >= done + count)
    return body.latencies(place.folder)[done:]


def _jobs(place: Station) -> int:
    found = body.executed(place.folder)
    return found.jobs if found else 0


def until(workers: Workers, look: Callable[[], T | None], seconds: float = DRAIN_SECONDS) -> T:
    """What it finds, once that is something.

    Raises:
        Failed: not in time, or a worker has ended.
    """
    give_up_at = time.monotonic() + seconds
    while not (found := look()):
        workers.check()
        if time.monotonic() > give_up_at:
            raise Failed(f"waited {seconds:.0f} s in vain")
        time.sleep(STEP_SECONDS)
    return found
