"""Writes the table of docs/stopping.md from a run: python -m benchmarks.stopping (three minutes)."""

from __future__ import annotations

import platform
import sys
import tempfile
from pathlib import Path

from tests.faults.test_f7_stuck_code import RECORDED_SECONDS, SLOT_SECONDS, STUCK, measure

PAGE = Path(__file__).parents[1] / "docs" / "stopping.md"
BEGIN, END = "<!-- table: python -m benchmarks.stopping -->", "<!-- end of table -->"
WHAT = {
    "Sleeps": "`time.sleep(60)`",
    "Spins": "`while True: pass`",
    "Receives": "`socket.recv()` without a time limit",
    "Swallows": "`except BaseException` in a loop",
    "HoldsTheGil": "a C loop that holds the GIL",
    "Naps": "`async`: `await asyncio.sleep(60)`",
    "BlocksTheLoop": "`async`: `time.sleep(60)`",
    "IgnoresCancel": "`async`: swallows its cancellation",
    "SpinsAlone": "`isolated=True`: a C loop that holds the GIL",
}


def row(kind: str) -> str:
    """Measure one line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        seen = measure(Path(folder), kind)
    process = "killed and replaced" if seen["killed"] else "drained and replaced" if seen["replaced"] else "goes on"
    neighbour = (
        "undisturbed" if seen["neighbour_outcomes"] == ["succeeded"] else ", then ".join(seen["neighbour_outcomes"])
    )
    cells = [WHAT[kind], *seen["outcomes"], f"{seen['recorded']:.1f} s", f"{seen['slot']:.1f} s", process, neighbour]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    head = [
        "| what it does | recorded as | after | slot back after | its process | a neighbour in the process |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    rows = []
    for kind in STUCK:
        rows.append(row(kind))
        print(rows[-1], file=sys.stderr)
    made = (
        f"Python {platform.python_version()}, SQLite, one process of two threads; limit 2 s, hard limit 3 s later; "
        f"from the start of the attempt. The test suite allows {RECORDED_SECONDS:.0f} s and {SLOT_SECONDS:.0f} s."
    )
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text("\n".join([before + BEGIN, "", *head, *rows, "", made, "", END]) + after)


if __name__ == "__main__":
    main()
