"""How long 500 coroutines of a second take in one process with default settings."""

from __future__ import annotations

import argparse

from benchmarks.drain import LEFT, SPAN
from benchmarks.kit.figures import Figures, program
from benchmarks.kit.places import Place, in_turns, wait_for
from benchmarks.kit.work import Waits
from jobs import enqueue_many


def measure(place: Place, runs: int, figures: Figures) -> None:
    enqueue_many([Waits(seconds=1.0) for _ in range(runs)])
    with place.worker():
        wait_for(lambda: not place.sql(LEFT))
    count, seconds = place.sql(SPAN[place.app.database.dialect])
    if count != runs:
        raise SystemExit(f"{count} attempts where {runs} runs were enqueued")
    figures.add(f"{runs} coroutines of 1 s, first start to last end", place.mode, "s", seconds)


def run(given: argparse.Namespace, figures: Figures) -> None:
    in_turns(given.repeats, lambda place: measure(place, given.runs, figures))


if __name__ == "__main__":
    program("coroutines", run, runs=(500, "coroutines"))
