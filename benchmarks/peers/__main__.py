"""Compares jobledger with other libraries, in interleaved rounds: ``python -m benchmarks.peers [ADAPTER …]``, ``make
bench-peers``.

    python -m benchmarks.peers --repeats 3                            # tables, and JSON lines in artifacts/
    python -m benchmarks.peers pgqueuer ours_postgresql --runs 5000   # some of them, with less work
    python -m benchmarks.peers --out benchmarks/results/peers.jsonl   # then: python -m benchmarks.report.page

Each library has its turn in each round, with a database, a Redis and processes of its own.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path

from benchmarks.kit.figures import Figures
from benchmarks.kit.places import Places, places
from benchmarks.peers import calibration, measures, names, table
from benchmarks.peers.adapters import NAMES, load
from benchmarks.peers.environments import Missing, python_of, versions
from benchmarks.peers.measures import Sizes
from benchmarks.peers.peer import Peer
from benchmarks.peers.station import Failed, station

STEPS = (
    measures.enqueue,
    partial(measures.drain, processes=1),
    partial(measures.drain, processes=2),
    measures.idle_and_late,
)


def turn(peer: Peer, python: Path, servers: Places, sizes: Sizes, figures: Figures) -> Iterator[str]:
    """Measure one library once; why something could not be measured."""
    facts = {**versions(python, peer.package), "keeps": peer.keeps, "is_durable": peer.is_durable}

    def note(measure: str, unit: str, value: float) -> None:
        figures.add(measure, peer.name, unit, value, **facts)

    note(names.PROCESSOR, "ms", calibration.processor_ms())
    note(names.SYNC, "ms", calibration.sync_ms(Path()))
    for step in STEPS:
        try:
            with station(peer, python, servers) as place:
                step(place, sizes, note)
        except Failed as failed:
            yield str(failed)


def run(given: argparse.Namespace, sizes: Sizes, figures: Figures, missing: dict[str, str]) -> None:
    """All rounds.

    Args:
        missing: takes, by the name of a library, why it is missing, or what of it failed.
    """
    ready = {}
    for name in given.peers or NAMES:
        peer = load(name)
        try:
            ready[name] = python_of(peer, given.python)
        except Missing as why:
            missing[peer.name] = str(why)
    with places() as servers:
        for number in range(given.repeats):
            for name, python in ready.items():
                print(f"round {number + 1}: {name}", flush=True)
                for reason in turn(load(name), python, servers, sizes, figures):
                    print(reason, flush=True)
                    missing[load(name).name] = reason.splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__.splitlines()[0])
    parser.add_argument("peers", nargs="*", metavar="ADAPTER", help=", ".join(NAMES))
    parser.add_argument("--repeats", type=int, default=3, help="rounds; every library takes its turn in each")
    parser.add_argument("--out", type=Path, default=Path("artifacts/peers.jsonl"), help="JSON lines go here")
    parser.add_argument("--python", help="a Python for the libraries that need a newer one than this")
    for one in fields(Sizes):
        kind, words = type(one.default), f"see Sizes in measures.py; {one.default} unless given"
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=kind, default=one.default, help=words)
    given = parser.parse_args()
    if unknown := set(given.peers) - set(NAMES):
        parser.error(f"no adapter {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    sizes = Sizes(**{one.name: getattr(given, one.name) for one in fields(Sizes)})
    figures = Figures(names.PROGRAM, repeats=given.repeats, **asdict(sizes))
    missing: dict[str, str] = {}
    # What was measured before an interrupt is kept: a round takes many minutes.
    with suppress(KeyboardInterrupt):
        run(given, sizes, figures, missing)
    given.out.unlink(missing_ok=True)
    figures.write(given.out)
    with given.out.open("a") as file:
        for name, reason in missing.items():
            file.write(json.dumps({"program": names.PROGRAM, "system": name, "missing": reason}) + "\n")
    print("\n".join(table.section(table.read(given.out))))


if __name__ == "__main__":
    main()
