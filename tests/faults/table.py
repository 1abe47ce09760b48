"""Writes the table of docs/reliability.md from the fault suite's last results: ``python -m tests.faults.table``.

``make faults`` keeps each result as a line of artifacts/faults.jsonl; the last of each test counts.
"""

from __future__ import annotations

import json
import sys
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
    "F6": "one run segfaults and one takes its process down, among innocents",
    "F8": "a node's clock is two hours off, either way",
    "F9": "F1, F2, F3, F4 and zombies together",
    "F10": "the enqueuing program exits hard around its own commit",
    "F13": "Redis is at its memory limit",
    "F20": "F1 on SQLite",
}


def main() -> int:
    """Write the table; 1 if there are no results."""
    if not RESULTS.exists():
        print("There are no results. Run: make faults", file=sys.stderr)
        return 1
    last: dict[str, dict[str, Any]] = {}
    for line in RESULTS.read_text().splitlines():
        result = json.loads(line)
        last[result["test"]] = result
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        print(f"{DOCUMENT} has no place for the table: {BEGIN} … {END}", file=sys.stderr)
        return 1
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table(last)}\n{END}{after}")
    return 0


def table(last: dict[str, dict[str, Any]]) -> str:
    """Markdown, one row a test."""
    rows = [
        "| | fault | runs | effects | twice | failed at random | attempts beyond one a run | kills | drained after |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in sorted(last, key=lambda one: int(one[1:])):
        one = last[name]
        rows.append(
            f"| {name} | {FAULTS.get(name, '')} | {one['runs']:,} | {one['distinct']:,} "
            f"| {one['effects'] - one['distinct']} | {one['failures']:,} | {one['extra']:,} "
            f"(≤ {one['extra_allowed']:,}) | {one['kills']} | {one['drained_seconds']} s |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
