"""Writes the generated drawings of docs/architecture.md: ``python -m tests.architecture``.

The floors come from the imports (tests/layers.py), the states from ``MOVES``.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from jobs.states import FINAL, MOVES, RunState
from tests.layers import folders

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"

VERBS: dict[tuple[RunState, RunState], str] = {
    (RunState.QUEUED, RunState.RUNNING): "claim",
    (RunState.QUEUED, RunState.CANCELLED): "cancel",
    (RunState.QUEUED, RunState.DEAD): "expired, or unknown kind",
    (RunState.RUNNING, RunState.SUCCEEDED): "done",
    (RunState.RUNNING, RunState.QUEUED): "retry, snooze, release, rescue",
    (RunState.RUNNING, RunState.DEAD): "budget spent, gave up, poison",
    (RunState.RUNNING, RunState.CANCELLED): "cancel",
    (RunState.DEAD, RunState.QUEUED): "replay",
    (RunState.CANCELLED, RunState.QUEUED): "replay",
}
"""What moves a run, for each move of ``MOVES``."""


def states() -> str:
    """The state diagram. A move without a verb is a KeyError: name it above."""
    lines = ["stateDiagram-v2", "    [*] --> queued: enqueue"]
    lines += [f"    {old} --> {new}: {VERBS[old, new]}" for old in MOVES for new in sorted(MOVES[old])]
    lines += [f"    {state} --> [*]" for state in sorted(FINAL) if not MOVES[state]]
    return _mermaid(lines)


def floors() -> str:
    """The folders, one box a floor, the top floor first."""
    rows = sorted((one for one in folders(ROOT) if one.count), key=lambda one: (-one.floor, one.name))
    lines, last = ["flowchart TD"], ""
    for floor, group in groupby(rows, key=lambda one: one.floor):
        lines.append(f'    f{floor}["{floor}: ' + " · ".join(one.name.replace(".", "/") for one in group) + '"]')
        if last:
            lines.append(f"    {last} --> f{floor}")
        last = f"f{floor}"
    return _mermaid(lines)


DRAWINGS = {"floors": floors, "states": states}


def drawn(page: str) -> str:
    """The page with each generated drawing as the code is now."""
    for name, draw in DRAWINGS.items():
        before, mark, rest = page.partition(f"<!-- drawing: {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        assert mark, name
        assert end, name
        page = before + mark + draw() + end + after
    return page


def _mermaid(lines: list[str]) -> str:
    return "\n".join(["", "```mermaid", *lines, "```", "", ""])


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
