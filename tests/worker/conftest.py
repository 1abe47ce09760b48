"""A real supervisor in a process of its own, with stand-in workers that write down what happens to them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, logging, sys

class Show(logging.Formatter):
    def format(self, record):
        kept = ("worker", "cause", "because", "why", "deaths", "restart_in_seconds", "generation")
        facts = {key: value for key, value in vars(record).items() if key in kept}
        return "LOG " + json.dumps({"said": record.getMessage(), **facts})

handler = logging.StreamHandler()
handler.setFormatter(Show())
logging.basicConfig(level=logging.INFO, handlers=[handler])
from worker.main import main
code = main(**json.loads(sys.argv[1]))
sys.stderr.write("MODULES " + json.dumps(sorted(sys.modules)))
sys.exit(code)
"""
T = TypeVar("T")


def wait_for(fact: Callable[[], T], what: str, *, seconds: float = 60.0) -> T:
    """The first true value of ``fact``; fails loudly when there is none in time."""
    found = wait_until(fact, seconds=seconds)
    assert found, f"never saw: {what}"
    return found


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that is dead and not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Tree:
    """A running supervisor, seen from outside."""

    def __init__(self, folder: Path, imports: list[str], does: dict[str, Any], options: dict[str, Any]) -> None:
        self.log = folder / "log.jsonl"
        self._errors = folder / "stderr"
        told = {
            "imports": imports,
            "settings_json": json.dumps({"log": str(self.log), **does}),
            "target": "tests.worker.stand_in:serve",
            **options,
        }
        told["imports"] = tuple(imports)
        with open(self._errors, "wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", SCRIPT, json.dumps(told)],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stderr=errors,
                start_new_session=True,
            )

    @property
    def stderr(self) -> str:
        return self._errors.read_text()

    def logged(self, said: str) -> list[dict[str, Any]]:
        lines = [json.loads(line[4:]) for line in self.stderr.splitlines() if line.startswith("LOG ")]
        return [line for line in lines if line["said"] == said]

    def notes(self, what: str, **like: object) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        notes = [json.loads(line) for line in lines]
        return [note for note in notes if note["what"] == what and all(note[key] == is_ for key, is_ in like.items())]

    def wait_for_notes(self, what: str, count: int = 1, *, seconds: float = 60.0) -> list[dict[str, Any]]:
        return wait_for(
            lambda: found if len(found := self.notes(what)) >= count else [],
            f"{count} times {what!r} in {self.log}",
            seconds=seconds,
        )

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def exit_code(self, seconds: float = 60.0) -> int:
        return self.process.wait(timeout=seconds)

    def pids(self) -> list[int]:
        """The process ids of all processes that it started, as they reported them."""
        born = self.notes("forked")
        return sorted({note["pid"] for note in born} | {note["parent"] for note in born} - {self.process.pid})

    def clean_up(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in self.pids():
            if pid > 1 and is_alive(pid) and b"boot.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)


StartTree = Callable[..., Tree]


@pytest.fixture
def start_tree(tmp_path: Path) -> Iterator[StartTree]:
    """Starts a supervisor in a folder of its own, which holds ``app.py``; nothing of it is left
    afterwards.
    """
    trees: list[Tree] = []

    def start(
        *,
        app: str = "VERSION = 1\n",
        imports: tuple[str, ...] = ("app",),
        does: dict[str, Any] | None = None,
        **options: Any,
    ) -> Tree:
        (tmp_path / "app.py").write_text(app)
        trees.append(Tree(tmp_path, list(imports), does or {}, options))
        return trees[-1]

    yield start
    for tree in trees:
        tree.clean_up()
