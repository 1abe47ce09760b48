"""What limits and rates cost, and how well they are used, by ratio to the same worker without them.

Each round drains the same backlog of runs that do nothing: without limits, without limits in a worker that also knows
kinds with limits, over 100 keys at two at once, and with one hot key. Then 60 runs of half a second at two at once
against their ideal time, and 600 a minute from eight processes against theirs.

With ``--peers 1``, other libraries with a limit by key take turns with ours, each in an environment of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

from sqlalchemy import text

from benchmarks.drain import LEFT, SPAN
from benchmarks.kit.figures import Figures, program
from benchmarks.kit.limited_work import BURST, COUNT, PER, Call, Export, HotNoop, KeyedNoop
from benchmarks.kit.modes import FLEET, POSTGRESQL
from benchmarks.kit.places import Place, Places, places, wait_for
from benchmarks.kit.work import Noop
from benchmarks.peers import measures
from benchmarks.peers.adapters import WITH_LIMITS, load
from benchmarks.peers.environments import Missing, python_of, versions
from benchmarks.peers.measures import Sizes
from benchmarks.peers.station import Failed, station
from jobs import Job, enqueue_many

KEYS, EXPORTS, EXPORT_SECONDS = 100, 60, 0.5
BOTH = "benchmarks.kit.work,benchmarks.kit.limited_work"
MOMENTS = "select array_agg(extract(epoch from at)::float8 order by at) from claimed"
NOTE = (
    "create table claimed (at timestamptz)",
    "create function note() returns trigger language plpgsql as "
    "$$ begin insert into claimed values (new.started_at); return null; end $$",
    "create trigger note after update on job_runs for each row "
    "when (old.state = 'queued' and new.state = 'running') execute function note()",
)
"""Keeps the moment of each claim, which counts for a rate. A thread begins with the run a moment later."""


def drain(place: Place, jobs: Sequence[Job], *, imports: str = BOTH, seconds: float = 120.0, **settings: str) -> float:
    """Seconds from the first start to the last end."""
    enqueue_many(jobs)
    with place.command("worker", "--metrics-port", "0", JOBS_IMPORTS=imports, **settings):
        wait_for(lambda: not place.sql(LEFT), every=0.1, seconds=seconds)
    count, took = place.sql(SPAN["postgresql"])
    if count != len(jobs):
        raise SystemExit(f"{count} attempts where {len(jobs)} runs were enqueued")
    return float(took)


def speeds(there: Places, runs: int, mode: str, figures: Figures) -> None:
    """Runs a second, one after another on ledgers of their own."""
    each: list[tuple[str, Sequence[Job], str]] = [
        ("drain, no limits", [Noop(a=n) for n in range(runs)], "benchmarks.kit.work"),
        ("drain, no limits, beside kinds with limits", [Noop(a=n) for n in range(runs)], BOTH),
        (f"drain, {KEYS} keys at 2", [KeyedNoop(account=n % KEYS) for n in range(runs)], BOTH),
        ("drain, one key at 50", [HotNoop(a=n) for n in range(runs)], BOTH),
    ]
    first = 0.0
    for measure, jobs, imports in each:
        with there.ledger(mode) as place:
            speed = runs / drain(place, jobs, imports=imports)
        first = first or speed
        figures.add(measure, mode, "runs/s", speed)
        figures.add(f"{measure}: of no limits", mode, "of 1", speed / first)


def example(there: Places, mode: str, figures: Figures) -> None:
    """How much of what a limit allows is used."""
    with there.ledger(mode) as place:
        took = drain(place, [Export(seconds=EXPORT_SECONDS) for _ in range(EXPORTS)], JOBS_PROCESSES="2")
        figures.add(f"{EXPORTS} runs at 2: of the ideal time", mode, "times", took / (EXPORTS * EXPORT_SECONDS / 2))


def rate(there: Places, calls: int, mode: str, figures: Figures) -> None:
    """How much of a rate is used, and that no more is."""
    per = PER.total_seconds()
    with there.ledger(mode) as place:
        with place.app.database.write() as connection:
            for statement in NOTE:
                connection.execute(text(statement))
        ideal = (calls - BURST) * per / COUNT
        drain(place, [Call(a=n) for n in range(calls)], seconds=60 + 2 * ideal, JOBS_PROCESSES="8", JOBS_THREADS="2")
        moments: list[float] = place.sql(MOMENTS)[0]
    figures.add(f"{COUNT} a minute: of the ideal time", mode, "times", (moments[-1] - moments[0]) / ideal)
    most = max(sum(1 for at in moments[n : n + COUNT + 2 * BURST] if at <= moments[n] + per) for n in range(calls))
    figures.add(f"{COUNT} a minute: most starts in a minute", mode, "runs", most)
    figures.add(
        f"{COUNT} a minute: most starts beyond the rate in any span", mode, "runs", beyond(moments, COUNT / per)
    )


def beyond(moments: Sequence[float], each_second: float) -> float:
    """By how many starts the fullest span exceeds the rate; a rate allows its burst."""
    most = least = 0.0
    for number, at in enumerate(moments):
        ahead = number - (at - moments[0]) * each_second
        least = min(least, ahead)
        most = max(most, ahead - least + 1)
    return most


def peers(there: Places, runs: int, figures: Figures) -> None:
    """Jobs over 100 keys at two at once, with ours and with each other library that has such a limit."""
    for name in WITH_LIMITS:
        peer = load(name)
        try:
            python = python_of(peer, None)
            with station(peer, python, there) as place:
                note = partial(_note, figures, f"{peer.name} {versions(python, peer.package)['version']}")
                measures.keyed(place, Sizes(runs=runs), note, processes=1)
        except (Missing, Failed) as why:
            print(f"{peer.name}: {why}", flush=True)


def _note(figures: Figures, system: str, measure: str, unit: str, value: float) -> None:
    figures.add(measure, system, unit, value)


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there:
        for _ in range(given.repeats):
            if given.peers:
                peers(there, given.runs, figures)
                continue
            for mode in (POSTGRESQL, FLEET):
                if given.runs:
                    speeds(there, given.runs, mode, figures)
                    example(there, mode, figures)
                if given.calls:
                    rate(there, given.calls, mode, figures)


if __name__ == "__main__":
    program(
        "limits",
        run,
        runs=(20_000, "how long the backlog is; 0: no drains"),
        calls=(900, "how many runs start at the rate; 0: none"),
        peers=(0, "1: only compare with other libraries"),
    )
