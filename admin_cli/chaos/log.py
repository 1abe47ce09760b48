"""The log of a run of chaos: JSON lines, from which the same faults can be made again."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from jobs.operations.chaos.plan import PlannedFault
    from jobs.operations.chaos.run import Done

FORMAT = 1


class Log:
    """Lines, each written at once, so that a run that is killed leaves what it did.

    The file is made by the first line after the header: a run that is refused leaves none.

    Raises:
        click.UsageError: the file exists.
    """

    def __init__(self, path: Path | None, header: dict[str, Any]) -> None:
        self._path = path
        self._header: dict[str, Any] | None = header
        if path is not None and path.exists():
            raise click.UsageError(f"{path} exists. Name a new file with --log.")

    def write(self, line: dict[str, Any]) -> None:
        if self._path is None:
            return
        lines = [line] if self._header is None else [self._header, line]
        with self._path.open("x" if self._header is not None else "a", encoding="utf-8") as file:
            file.write("".join(json.dumps(one, default=str) + "\n" for one in lines))
        self._header = None


def header(target: str, span: timedelta, options: dict[str, Any]) -> dict[str, Any]:
    """The first line: what the run was asked for."""
    return {"chaos": FORMAT, "target": target, "for_seconds": span.total_seconds(), **options}


def line_of(done: Done) -> dict[str, Any]:
    """A fault or a thaw as a line; ``planned`` is what a repetition reads."""
    planned = done.planned
    return {
        "at": round(done.at, 3),
        "did": done.did,
        "is_made": done.is_made,
        "worker": done.worker,
        "pid": done.pid,
        "planned": None
        if planned is None
        else {
            "at": planned.at,
            "fault": planned.fault.value,
            "pick": planned.pick,
            "stopped_seconds": planned.stopped_seconds,
        },
    }


def read_plan(path: Path) -> tuple[timedelta, tuple[PlannedFault, ...]]:
    """The length of a logged run, and its faults.

    Raises:
        click.UsageError: the file is no log of a run of chaos.
    """
    from jobs.operations.chaos.plan import Fault, PlannedFault

    try:
        first, *rest = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        if first["chaos"] != FORMAT:
            raise ValueError("its format is of another release")
        span = timedelta(seconds=float(first["for_seconds"]))
        stored = [one["planned"] for one in rest if one.get("planned")]
        plan = [
            PlannedFault(float(one["at"]), Fault(one["fault"]), float(one["pick"]), float(one["stopped_seconds"]))
            for one in stored
        ]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise click.UsageError(f"{path} is no log of a run of chaos: {error}.") from None
    latest = span.total_seconds()
    if not all(0 <= one.at <= latest and 0 <= one.pick <= 1 and 0 <= one.stopped_seconds <= latest for one in plan):
        raise click.UsageError(f"{path} is no log of a run of chaos: a fault is outside its time.")
    return span, tuple(sorted(plan, key=lambda one: one.at))
