"""Writes the table of docs/reliability.md from the fault suite's last results: ``python -m tests.faults.table``.

``make faults`` keeps each result as a line of artifacts/faults.jsonl; the last of each test counts.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import textwrap
from collections.abc import Collection, Iterable
from datetime import date
from typing import Any

from tests.faults.fleet import RESULTS, ROOT

DOCUMENT = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults: made by python -m tests.faults.table -->", "<!-- /faults -->"
FAULTS = {
    "F1": "a random worker process is killed (SIGKILL) every second",
    "F2": "Redis is flushed three times, and killed and restarted empty three times",
    "F3": "PostgreSQL is stopped at once and started, twice",
    "F4": "Redis is frozen, with delayed runs waiting",
    "F5": "a worker is frozen for three leases, then thawed",
    "F5 (same worker)": "a worker, then a whole node, is frozen, loses its runs, and claims them again",
    "F6": "one run segfaults and one eats all memory, among innocents",
    "F7": "code that does not end in time, of nine kinds; limit 2 s, hard limit 3 s later: the slowest",
    "F8": "the nodes' clocks are two hours off, either way, and step",
    "F8 (no Redis)": "the same, with the ledger alone",
    "F9": "F1, F2, F3, F4 and zombies together",
    "F1 (limits)": "F1, every run under a limit of two by key and under a rate",
    "F2 (limits)": "F2, the same",
    "F3 (limits)": "F3, the same",
    "F9 (limits)": "F1, F2, F3 and zombies together, and a server that is away for longer than a lease, the same",
    "F10": "the enqueuing program exits hard at nine points around its own commit",
    "F11": "a proxy before each server drops, delays, doubles and cuts replies",
    "F11 (forgotten)": "every connection to both servers is forgotten on the way, three times, and nobody is told",
    "F13": "Redis is at its memory limit",
    "F14": "PostgreSQL has no connection left, then is read only for a minute",
    "F14 (disk)": "PostgreSQL's volume is full",
    "F15": "hostile arguments, options, rows and ready ids",
    "F16": "one deploy after another, old and new code side by side",
    "F17": "a transaction stays open over a large dead tail",
    "F17 (no Redis)": "the same, with the ledger alone",
    "F1 (workflows)": "F1 while runs gather three deep and wait for signals, in batches with callbacks",
    "F2 (workflows)": "F2 upon the same",
    "F3 (workflows)": "F3 upon the same",
    "F9 (workflows)": "F1, F2, F3 and zombies together upon the same",
    "waits, Redis wiped": "Redis is flushed, and killed and restarted empty, while all runs wait for a signal",
    "F1, F3 (history)": "F1 and F3 while ended runs move to history, and the movers are killed too",
    "migrate in use": "`migrate up` from the oldest release over 2,000,000 waiting runs",
    "F20": "F1 on SQLite",
    "chaos": "`jobledger chaos run` for two minutes upon the example of orders",
    "pgbouncer": "F1 through pgbouncer, which is killed too",
    "pgbouncer (no Redis)": "the same, with the ledger alone",
}
LOAD = {"test", "seed", "runs", "effects", "distinct", "succeeded", "failures", "attempts", "numbered", "refused"}
LOAD |= {"kills", "zombies", "drained_seconds", "extra", "extra_allowed"}
"""Facts that have a column of their own, or repeat another."""


def main() -> int:
    """Write the table; 1 if there are no results."""
    if not RESULTS.exists():
        print("There are no results. Run: make faults", file=sys.stderr)
        return 1
    last = last_of(json.loads(line) for line in RESULTS.read_text().splitlines())
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    found_table, found, after = rest.partition(END)
    if not found:
        print(f"{DOCUMENT} has no place for the table: {BEGIN} … {END}", file=sys.stderr)
        return 1
    kept = rows_of(found_table, left_out=last)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table(last, kept)}\n\n{caption(last, kept)}\n{END}{after}")
    return 0


def rows_of(text: str, *, left_out: Iterable[str]) -> dict[str, str]:
    """The rows of a table by test, without some tests."""
    cells = {line: [one.strip() for one in line.split("|")] for line in text.splitlines() if line.startswith("|")}
    return {each[1]: line for line, each in cells.items() if each[1] in FAULTS and each[1] not in set(left_out)}


def last_of(results: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The last result of each test; for a test with cases, the worst of each figure over their last results."""
    last = {(one["test"], one.get("case", "")): one for one in results}
    tests: dict[str, dict[str, Any]] = {}
    for (name, case), one in last.items():
        if not case:
            tests[name] = one
            continue
        worst = tests.setdefault(name, {"test": name, "cases": 0})
        worst["cases"] += 1
        for fact in one.keys() - {"test", "case"}:
            worst[fact] = max(worst.get(fact, one[fact]), one[fact])
    return tests


def table(last: dict[str, dict[str, Any]], kept: dict[str, str]) -> str:
    """Markdown, one row a test: of its result, or the row ``kept`` of an earlier table."""
    rows = [
        "| | fault | runs | effects | twice | raised | attempts beyond one a run | kills | drained after | also |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    order = list(FAULTS)
    for name in sorted({**last, **kept}, key=lambda one: order.index(one) if one in order else len(order)):
        if name in kept:
            rows.append(kept[name])
            continue
        one = last[name]
        extra = f"{one['extra']:,} (≤ {one['extra_allowed']:,})" if "extra" in one else ""
        twice = one["effects"] - one["distinct"] if "effects" in one else ""
        drained = f"{one['drained_seconds']} s" if "drained_seconds" in one else ""
        cells = [
            name, FAULTS.get(name, ""), _number(one, "runs"), _number(one, "distinct"), twice,
            _number(one, "failures"), extra, one.get("kills", ""), drained, _also(one),
        ]  # fmt: skip
        rows.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(rows)


def caption(last: dict[str, dict[str, Any]], kept: Collection[str]) -> str:
    """The time, the machine and the seeds of the results, and the rows of an earlier time."""
    made = date.fromtimestamp(RESULTS.stat().st_mtime)
    seeds = ", ".join(f"{name} {one['seed']}" for name, one in sorted(last.items()) if "seed" in one)
    said = f"Made on {made} with Python {platform.python_version()} on {os.cpu_count()} cores. Seeds: {seeds}."
    said += f" Of an earlier run: {', '.join(kept)}." if kept else ""
    return textwrap.fill(said, 118)


def _number(one: dict[str, Any], name: str) -> str:
    return f"{one[name]:,}" if name in one else ""


def _also(one: dict[str, Any]) -> str:
    """The facts that only this test checks; also refused results, if there were any."""
    facts = {name: value for name, value in one.items() if name not in LOAD}
    if one.get("zombies") and one.get("refused"):
        facts["refused results"] = one["refused"]
    return ", ".join(f"{name.replace('_', ' ')} {_words(value)}" for name, value in facts.items())


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return " + ".join(f"{count} {name.replace('_', ' ')}" for name, count in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    sys.exit(main())
