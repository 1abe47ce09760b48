"""What an idle fleet costs: memory and processor time of a worker of two processes and a scheduler, whole trees."""

from __future__ import annotations

import argparse
import time

from benchmarks.kit.figures import Figures, program
from benchmarks.kit.places import Place, in_turns, wait_for
from benchmarks.kit.processes import cpu_seconds, pss_megabytes, tree

WORKERS = "select count(*) from job_workers"
SETTLE_SECONDS = 5.0
"""Seconds until the first polls, which are frequent, are over."""


def measure(place: Place, given: argparse.Namespace, figures: Figures) -> None:
    with (
        place.worker(JOBS_PROCESSES="2") as worker,
        place.command("scheduler", "--import", "benchmarks.kit.work") as scheduler,
    ):
        wait_for(lambda: int(place.sql(WORKERS)[0]) >= 2)
        time.sleep(SETTLE_SECONDS)
        pids = {"worker": tree(worker.pid), "scheduler": tree(scheduler.pid)}
        before = {name: cpu_seconds(some) for name, some in pids.items()}
        served, began = place.server_seconds(), time.monotonic()
        time.sleep(given.seconds)
        seconds = time.monotonic() - began
        used = {name: (cpu_seconds(some) - before[name]) / seconds * 100 for name, some in pids.items()}
        served = (place.server_seconds() - served) / seconds * 100
        figures.add("idle worker of 2 processes, memory (PSS)", place.mode, "MB", pss_megabytes(pids["worker"]))
        figures.add("idle scheduler, memory (PSS)", place.mode, "MB", pss_megabytes(pids["scheduler"]))
        figures.add("idle worker and scheduler, processor", place.mode, "% of a core", sum(used.values()))
        figures.add("their servers, processor", place.mode, "% of a core", served)


def run(given: argparse.Namespace, figures: Figures) -> None:
    in_turns(given.repeats, lambda place: measure(place, given, figures))


if __name__ == "__main__":
    program("idle", run, seconds=(15.0, "to watch"))
