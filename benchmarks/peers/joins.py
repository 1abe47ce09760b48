"""A join of many jobs that do nothing: ours, DBOS's queue with ``recv``, Celery's chord; two worker processes each."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks.kit.figures import Figures
from benchmarks.kit.places import Places
from benchmarks.peers import body
from benchmarks.peers.adapters import load
from benchmarks.peers.environments import Missing, python_of
from benchmarks.peers.measures import DRAIN_SECONDS, WARM, until
from benchmarks.peers.peer import Peer
from benchmarks.peers.station import Failed, station

NAMES = ("ours_postgresql", "ours_redis", "dbos", "celery")
JOINS = 3
"""Of which the median counts."""


def ready() -> dict[Peer, Path]:
    """The libraries that could be installed, each with its Python."""
    found: dict[Peer, Path] = {}
    for name in NAMES:
        peer = load(name)
        try:
            found[peer] = python_of(peer, None)
        except Missing as why:
            print(f"{peer.name}: {why}", flush=True)
    return found


def measure(peer: Peer, python: Path, servers: Places, width: int, figures: Figures) -> None:
    """Measure one library once, from before the call until the join reports."""
    try:
        with station(peer, python, servers) as place, place.worker(2) as workers:
            place.client("late", WARM, WARM)
            until(workers, lambda: len(body.latencies(place.folder)) >= WARM)
            took = []
            for number in range(JOINS):
                began = place.client("join", width)["began"]
                over = until(workers, lambda number=number: body.joins(place.folder)[number:], DRAIN_SECONDS)
                if over[0][1] != width:
                    raise Failed(f"{peer.name} joined {over[0][1]} jobs of {width}")
                took.append(over[0][0] - began)
    except Failed as failed:
        print(failed, flush=True)
        return
    figures.add(f"join of {width:,}", peer.name, "jobs/s", width / median(took))
