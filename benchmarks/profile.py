"""Profile: the processor time of a worker that drains a backlog, by thread and by module, and that of its servers.

Sampling slows the worker by a few hundredths; the shares count here, not the speed.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from benchmarks.drain import LEFT
from benchmarks.kit.figures import Figures, program
from benchmarks.kit.modes import FLEET
from benchmarks.kit.places import Place, places, wait_for
from benchmarks.kit.work import Noop
from jobs import enqueue_many


def measure(place: Place, runs: int, figures: Figures) -> None:
    enqueue_many([Noop(a=number) for number in range(runs)])
    folder = place.folder / "samples"
    folder.mkdir()
    served = place.server_seconds()
    imports = "benchmarks.kit.sampled,benchmarks.kit.work"
    with place.command("worker", "--metrics-port", "0", JOBS_IMPORTS=imports, BENCH_SAMPLES=str(folder)):
        wait_for(lambda: not place.sql(LEFT), every=0.1)
        served = place.server_seconds() - served
        wait_for(lambda: list(folder.glob("*.json")))
        busiest = max(map(_read, folder.glob("*.json")), key=lambda found: sum(found.values()))
    for (thread, module), seconds in busiest.items():
        figures.add(thread, module, "µs/run", seconds / runs * 1e6)
    figures.add("servers", "PostgreSQL and Redis", "µs/run", served / runs * 1e6)


def _read(path: Path) -> Counter[tuple[str, str]]:
    return Counter({(thread, module): seconds for thread, module, seconds in json.loads(path.read_text())})


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there, there.ledger(FLEET) as place:
        measure(place, given.runs, figures)


if __name__ == "__main__":
    program("profile", run, runs=(40_000, "how long the backlog is"))
