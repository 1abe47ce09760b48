"""Writes the section "Beside other libraries" of docs/performance.md from the JSON lines of a run."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.kit.figures import number
from benchmarks.peers import names

OURS = "jobledger, PostgreSQL alone"
TITLE = "## Beside other libraries"
WORDS = """
`make bench-peers` measures each library in the newest version that is available, in a separate environment, on the same
servers and in the same rounds. PostgreSQL has fsync on; Valkey stores nothing on disk. All libraries perform the same
job, which does nothing; its arguments are a number and a text of 100 characters. A worker process has 8 threads, or 100
coroutines if the library has coroutines. The adapters in `benchmarks/peers/adapters/` show the other settings.

*Executed* counts from the first job to the last, by the jobs' own report. *Settled* counts from the first job until
every job is recorded as done; the cell is empty if the library cannot tell. *Client CPU* is the processor time of the
process that enqueues. The CPU of a worker is counted from its first job. *Enqueue many* has 1,000 jobs per call; the
cell is empty if the library has no such call. Latency is the time from before the call until the job starts. Memory is
the proportional set size (PSS) of all processes of a worker with one process.
"""
BUSY = 1.5
"""A load average a core above which others were at work: the programs themselves make about 1."""
SPREAD = 1.15
"""The longest calibration, as a ratio to the median: above this, rounds differ by more than the libraries' noise."""

D1, D2 = names.PROCESSES[1], names.PROCESSES[2]
FIRST = {
    "enqueue one, /s": names.ONE,
    "client CPU, ms": names.ONE_CPU,
    "enqueue many, /s": names.MANY,
    "drain, 1 process: executed, /s": names.EXECUTED.format(processes=D1),
    "settled, /s": names.SETTLED.format(processes=D1),
    "2 processes: executed, /s": names.EXECUTED.format(processes=D2),
    "settled, /s ": names.SETTLED.format(processes=D2),
}
SECOND = {
    "CPU of the worker, 1 process, µs a job": names.WORKER.format(processes=D1),
    "2 processes": names.WORKER.format(processes=D2),
    "CPU of the servers, µs a job": names.SERVERS.format(processes=D1),
    "latency at 50/s, p50 ms": names.LATENCY.format(rate=50, share="p50"),
    "p99 ms": names.LATENCY.format(rate=50, share="p99"),
    "at 1/s, p50 ms": names.LATENCY.format(rate=1, share="p50"),
    "p99 ms ": names.LATENCY.format(rate=1, share="p99"),
    "idle, PSS MB": names.MEMORY,
    "idle, % of a core": names.IDLE,
}
"""Headings of the two tables, and their names. A heading that repeats has a space more, which is not shown."""
LESS_IS_MORE = {names.ONE_CPU, *SECOND.values()}

Line = dict[str, Any]


def read(path: Path) -> list[Line]:
    """The lines of a run; none if there is no such file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def section(lines: Sequence[Line]) -> Iterator[str]:
    """The section for these results; nothing if there are none."""
    figures = [line for line in lines if "missing" not in line]
    if not figures:
        return
    yield from ("", TITLE, "", WORDS.strip(), "")
    yield from _facts(figures)
    by_system: dict[str, dict[str, Line]] = {}
    for line in figures:
        by_system.setdefault(line["system"], {})[line["measure"]] = line
    yield from _table(FIRST, by_system)
    yield from _table(SECOND, by_system)
    yield from _against(by_system)
    yield from _kept(by_system)
    yield from _missing(lines)


def _facts(figures: Sequence[Line]) -> Iterator[str]:
    first = figures[0]
    machine, settings, python = first["machine"], first["settings"], first["versions"]["python"]
    loops, syncs = (_values(figures, name) for name in (names.PROCESSOR, names.SYNC))
    yield (
        f"Measured {first['at']} on {machine['cores']} cores ({machine['processor']}), Python {python}: medians of"
        f" {settings['repeats']} round{'s' * (settings['repeats'] > 1)}, with {settings['calls']:,} calls one by one"
        f" and {settings['runs']:,} jobs a drain (fewer for the slowest). The load average was {machine['load']} at the"
        f" end. Before each turn a fixed loop took {_range(loops)} ms, and an fsync {_range(syncs)} ms."
    )
    if machine["load"] > BUSY * machine["cores"] or max(loops) > SPREAD * statistics.median(loops):
        yield ""
        yield (
            "**Other programs used the machine**: absolute figures are too slow, and ratios are rough. Measure again on"
            " a quiet machine."
        )


def _table(columns: dict[str, str], by_system: dict[str, dict[str, Line]]) -> Iterator[str]:
    yield ""
    yield f"| library | {' | '.join(heading.strip() for heading in columns)} |"
    yield f"| --- |{' ---: |' * len(columns)}"
    for system, found in by_system.items():
        cells = [number(found[measure]["median"]) if measure in found else "" for measure in columns.values()]
        yield f"| {system} ({_version(next(iter(found.values())))}) | {' | '.join(cells)} |"


def _against(by_system: dict[str, dict[str, Line]]) -> Iterator[str]:
    """Compare each measure of ours with the best other library that is as durable."""
    others = {
        name: found for name, found in by_system.items() if not name.startswith("jobledger") and _is_durable(found)
    }
    if OURS not in by_system or not others:
        return
    yield from (
        "",
        f"{OURS}, compared with the best other library that stores a job on disk before its call returns:",
        "",
    )
    yield from ("| measure | ours | best of the others | ratio |", "| --- | ---: | --- | ---: |")
    for measure in (*FIRST.values(), *SECOND.values()):
        values = {name: found[measure]["median"] for name, found in others.items() if measure in found}
        if measure not in by_system[OURS] or not values:
            continue
        best_of: Callable[..., str] = min if measure in LESS_IS_MORE else max
        best = best_of(values, key=values.__getitem__)
        line = by_system[OURS][measure]
        ratio = line["median"] / values[best] if values[best] else float("inf")
        yield (
            f"| {measure}, {line['unit']} | {number(line['median'])} | {best} {number(values[best])} | {ratio:.2f} × |"
        )


def _kept(by_system: dict[str, dict[str, Line]]) -> Iterator[str]:
    yield from ("", "What each library keeps of a job that succeeded:", "")
    for system, found in by_system.items():
        yield f"- {system}: {next(iter(found.values()))['settings']['keeps']}."


def _missing(lines: Sequence[Line]) -> Iterator[str]:
    reasons = [line for line in lines if "missing" in line]
    if reasons:
        yield from ("", "Not measured, or not completely:", "")
        yield from (f"- {line['system']}: {line['missing']}" for line in reasons)


def _is_durable(found: dict[str, Line]) -> bool:
    return bool(next(iter(found.values()))["settings"]["is_durable"])


def _version(line: Line) -> str:
    """The version, with the Python if it is not the driver's."""
    version, python = line["settings"]["version"], line["settings"]["python"]
    return version if python == line["versions"]["python"] else f"{version}, Python {python}"


def _values(figures: Sequence[Line], measure: str) -> list[float]:
    return [value for line in figures if line["measure"] == measure for value in line["values"]]


def _range(values: Sequence[float]) -> str:
    return f"{number(min(values))} to {number(max(values))} (median {number(statistics.median(values))})"
