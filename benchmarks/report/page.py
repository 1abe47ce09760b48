"""Writes docs/performance.md from the JSON lines of a run: ``python -m benchmarks.report.page [FILE]``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from benchmarks.kit.figures import Figure, number
from benchmarks.peers import table
from benchmarks.report.goals import GOALS, Found
from benchmarks.report.texts import INDEXES, INTRODUCTION, MEANINGS, PROFILE, SHORTFALLS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results" / "latest.jsonl"
PEERS = RESULTS.with_name("peers.jsonl")
"""Of ``make bench-peers``, which is run by itself."""
NOT_FOUND = "the reason is not known yet."
BUSY = 3.0
"""A load average per core above this cannot come from these programs alone."""
SMALLEST = 1.0
"""Microseconds a run; parts that take less are summed up."""


def write(results: Path = RESULTS) -> None:
    """Write the page."""
    PAGE.write_text(make(results))


def make(results: Path = RESULTS, peers: Path = PEERS) -> str:
    """The page for these results."""
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    found = {(one["measure"], one["system"]): _figure(one) for one in lines if one["program"] != "profile"}
    parts = [INTRODUCTION.strip(), *_facts(lines), *_goals(found)]
    for program, words in MEANINGS.items():
        rows = [_figure(one) for one in lines if one["program"] == program]
        parts += [*_measured(words, rows)] if rows else []
    profiled = [_figure(one) for one in lines if one["program"] == "profile"]
    parts += [*_profile(profiled)] if profiled else []
    title, _, text = INDEXES.strip().partition("\n")
    parts += ["", f"## {title}", "", text]
    parts += table.section(table.read(peers))
    return "\n".join(parts).rstrip() + "\n"


def _figure(line: dict[str, Any]) -> Figure:
    return Figure(**{field.name: line[field.name] for field in fields(Figure)})


def _facts(lines: list[dict[str, Any]]) -> Iterator[str]:
    first = lines[0]
    machine, versions = first["machine"], first["versions"]
    moments, rounds = sorted(line["at"] for line in lines), sorted(line["settings"]["repeats"] for line in lines)
    repeated = (
        f"{rounds[0]} to {rounds[-1]} rounds" if rounds[0] < rounds[-1] else f"{rounds[0]} round{'s' * (rounds[0] > 1)}"
    )
    yield ""
    yield (
        f"Measured {moments[0]} to {moments[-1]} on {machine['cores']} cores ({machine['processor']}), "
        f"{machine['system']}, shared by workers, PostgreSQL and Valkey; "
        f"{repeated}; one fsync takes {machine['fsync_ms']:.1f} ms here. "
        + ", ".join(f"{name} {one}" for name, one in versions.items())
        + "."
    )
    loads = [line["machine"]["load"] for line in lines]
    yield ""
    yield f"The load average was {min(loads)} to {max(loads)} when the programs ended."
    if max(loads) > BUSY * machine["cores"]:
        yield ""
        yield (
            "**Other programs used the machine during the measurements**: absolute figures are too slow, those of the"
            " disk above all, and ratios are rough. Measure again on a quiet machine."
        )


def _goals(found: Found) -> Iterator[str]:
    yield from ("", "## The goals", "", "| measure | at least | aim | measured | |", "| --- | --- | --- | --- | --- |")
    short = []
    for goal in GOALS:
        bounds = (goal.shown(goal.at_least), goal.shown(goal.aim))
        try:
            value = goal.read(found)
        except KeyError:
            yield f"| {goal.name} | {bounds[0]} | {bounds[1]} | | not measured in this run |"
            continue
        yield f"| {goal.name} | {bounds[0]} | {bounds[1]} | {goal.shown(value)} | {goal.rating(value)} |"
        if goal.rating(value) == "**short**":
            short.append(goal)
    yield ""
    if not short:
        yield "Every measured goal reaches its *at least*."
        return
    yield from ("### Goals that are missed, and why", "")
    for goal in short:
        yield f"- **{goal.name}**: {SHORTFALLS.get(goal.name, NOT_FOUND)}"


def _measured(words: str, rows: list[Figure]) -> Iterator[str]:
    title, _, text = words.strip().partition("\n")
    yield from ("", f"## {title}", "", text.strip(), "")
    yield from ("| measure | of | median (range) | unit |", "| --- | --- | ---: | --- |")
    for row in rows:
        yield f"| {row.measure} | {row.system} | {row.shown} | {row.unit} |"


def _profile(rows: list[Figure]) -> Iterator[str]:
    title, _, text = PROFILE.strip().partition("\n")
    yield from ("", f"## {title}", "", text.strip(), "")
    yield from ("| who | doing what | µs a run |", "| --- | --- | ---: |")
    threads: dict[str, list[Figure]] = {}
    for row in rows:
        threads.setdefault(row.measure, []).append(row)
    for thread, parts in sorted(threads.items(), key=lambda one: -sum(part.median for part in one[1])):
        total = sum(part.median for part in parts)
        yield f"| **{thread}** | | **{number(total)}** |"
        large = sorted((part for part in parts if part.median >= SMALLEST), key=lambda part: -part.median)
        rest = total - sum(part.median for part in large)
        if len(parts) > 1:
            for part in large:
                yield f"| | {part.system} | {number(part.median)} |"
            if rest >= 0.05:
                yield f"| | the rest | {number(rest)} |"


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:]))
