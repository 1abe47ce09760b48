"""Figures: measured values with their repeats and machine; shown as a table, written as JSON lines."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("jobledger", "dramatiq", "psycopg", "sqlalchemy", "redis", "pydantic")


@dataclass(frozen=True)
class Figure:
    """One measure of one system, with a value for each repeat, in order."""

    measure: str
    system: str
    unit: str
    values: list[float]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def shown(self) -> str:
        """Median, and the range where there are several values."""
        if len(self.values) == 1:
            return number(self.median)
        return f"{number(self.median)} ({number(min(self.values))} to {number(max(self.values))})"


class Figures:
    """The figures of one program. Values come one by one, so that systems can take turns in a round."""

    def __init__(self, program: str, **settings: Any) -> None:
        self.program = program
        self._settings = settings
        self._found: dict[tuple[str, str], Figure] = {}

    def add(self, measure: str, system: str, unit: str, *values: float, **settings: Any) -> None:
        """Add measured values."""
        made = Figure(measure, system, unit, [], {**self._settings, **settings})
        figure = self._found.setdefault((measure, system), made)
        figure.values.extend(round(value, 4) for value in values)

    def __iter__(self) -> Iterator[Figure]:
        return iter(self._found.values())

    def show(self) -> None:
        """Print a table on standard output."""
        from rich.console import Console
        from rich.table import Table

        table = Table(title=f"{self.program}: {_words(self._settings)}", title_justify="left")
        table.add_column("measure")
        table.add_column("system")
        table.add_column("median (range)", justify="right")
        table.add_column("unit")
        table.add_column("repeats", justify="right")
        for one in self:
            table.add_row(one.measure, one.system, one.shown, one.unit, str(len(one.values)))
        console = Console()
        console.print(table)
        console.print(_words(machine()), style="dim")

    def write(self, path: Path) -> None:
        """Add a JSON line for each figure."""
        facts = {"program": self.program, "at": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()), **machine()}
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            for one in self:
                derived = {"median": one.median, "low": min(one.values), "high": max(one.values)}
                line = {**asdict(one), **derived, "repeats": len(one.values), **facts}
                file.write(json.dumps(line) + "\n")


def number(value: float) -> str:
    """Format a value with three significant digits."""
    if value and abs(value) < 0.1:
        return f"{value:.4f}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> dict[str, Any]:
    """The machine of the measurement, and its load."""
    versions = {name: version(name) for name in PACKAGES}
    return {
        "machine": {
            "system": f"{platform.system()} {platform.release()}",
            "processor": _processor(),
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
            "fsync_ms": _fsync_ms(),
        },
        "versions": {"python": platform.python_version(), **versions},
    }


def program(name: str, run: Callable[[argparse.Namespace, Figures], None], **options: tuple[Any, str]) -> None:
    """The command line of a benchmark: ``options`` are name -> (default, help)."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; every system takes its turn in each")
    parser.add_argument("--out", type=Path, default=Path("artifacts/benchmarks.jsonl"), help="JSON lines go here")
    for option, (default, words) in options.items():
        parser.add_argument(f"--{option.replace('_', '-')}", type=type(default), default=default, help=words)
    given = parser.parse_args()
    shown = {name: value for name, value in vars(given).items() if name != "out"}
    figures = Figures(name, **shown)
    run(given, figures)
    figures.show()
    figures.write(given.out)


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Gives a function that returns the seconds since the block began; after the block, its duration."""
    began = time.perf_counter()
    took: list[float] = []
    yield lambda: took[0] if took else time.perf_counter() - began
    took.append(time.perf_counter() - began)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _words(facts: dict[str, Any]) -> str:
    flat = {}
    for name, value in facts.items():
        flat.update(value if isinstance(value, dict) else {name: value})
    return ", ".join(f"{name} {value}" for name, value in flat.items())


@cache
def _fsync_ms() -> float:
    """The milliseconds of an fsync here, which is most of a commit's time."""
    with tempfile.TemporaryFile(dir=".") as file:
        with stopwatch() as took:
            for _ in range(50):
                file.write(b"x" * 4096)
                file.flush()
                os.fsync(file.fileno())
        return round(took() * 1000 / 50, 2)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
