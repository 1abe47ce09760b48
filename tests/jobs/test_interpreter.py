"""Which Python will do: an ordinary one, and never without its global lock. (K2, part C)"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jobs.errors import ConfigurationError
from jobs.interpreter import refuse_free_threading

ROOT = Path(__file__).parents[2]
FREE_THREADED = """
import sys
sys._is_gil_enabled = lambda: False
from admin_cli.main import run
sys.exit(run(sys.argv[1:]))
"""


def test_an_ordinary_python_serves() -> None:
    refuse_free_threading()


def test_a_python_without_its_global_lock_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)

    with pytest.raises(ConfigurationError, match=r"free-threaded.*PYTHON_GIL=1"):
        refuse_free_threading()


@pytest.mark.parametrize("command", ["worker", "scheduler", "api serve --port 0"])
def test_each_program_refuses_to_start_on_it_with_one_line(
    command: str, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBS_DATABASE_URL", sqlite_url)
    words = [sys.executable, "-c", FREE_THREADED, *command.split()]

    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert done.returncode not in (0, None)
    (line,) = [one for one in done.stderr.splitlines() if "free-threaded" in one]
    assert "Use an ordinary build" in done.stderr
    assert "Traceback" not in done.stderr
    assert line


def test_every_test_that_depends_on_python_is_there_to_be_run_under_others() -> None:
    asked = subprocess.run(
        ["make", "--no-print-directory", "--eval", "shown: ; @echo $(DEPENDS)", "shown"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip

    names = asked.stdout.split()

    assert len(names) > 10
    assert [name for name in names if not (ROOT / name).is_file()] == []
