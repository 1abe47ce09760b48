"""K2.15: an application's own worker.py or jobs package gets one line that names it, why, and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.shadow import OURS, shadow_of

ROOT = Path(__file__).parents[2]
Start = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def start(*arguments: str, path: str = str(ROOT)) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "JOBS_DATABASE_URL": f"sqlite:///{tmp_path / 'jobs.db'}"},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return start


def _own(folder: Path, name: str) -> Path:
    """An application's own module or package."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    if path.suffix:
        path.write_text("x = 1\n")
    else:
        path.mkdir()
        (path / "__init__.py").write_text("")
    return path


def test_nothing_stands_before_our_packages_here() -> None:
    assert [shadow_of(name) for name in OURS] == [None] * len(OURS)


@pytest.mark.parametrize("name", ["worker.py", "jobs", "jobs.py", "scheduler", "admin_api.py"])
def test_a_folder_that_pythonpath_names_before_ours_is_named(tmp_path: Path, start: Start, name: str) -> None:
    own = _own(tmp_path / "shop", name)

    done = start("-P", "-m", "admin_cli.main", "worker", "--import", "app", path=f"{own.parent}{os.pathsep}{ROOT}")

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: Python finds {own} where our package")
    assert line.endswith("Rename it, or leave that folder out of PYTHONPATH.")


@pytest.mark.parametrize("name", ["worker.py", "jobs"])
def test_a_start_in_a_folder_that_shadows_our_package_is_refused_and_one_with_dash_p_succeeds(
    tmp_path: Path, start: Start, name: str
) -> None:
    own = _own(tmp_path, name)

    done, without = start("-m", "admin_cli.main", "kinds"), start("-P", "-m", "admin_cli.main", "--help")

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: Python finds {own} where our package")
    assert line.endswith("Rename it, or start Python with -P.")
    assert without.returncode == 0, without.stderr


@pytest.mark.parametrize(
    ("name", "wants"), [("worker", "from worker.tasks import y"), ("jobs.py", "from jobs import y")]
)
def test_an_application_module_with_our_name_gets_an_error_that_names_it(
    tmp_path: Path, start: Start, name: str, wants: str
) -> None:
    own = _own(tmp_path, name)
    (tmp_path / "app.py").write_text(f"{wants}\n")
    start("-P", "-m", "admin_cli.main", "migrate", "up")

    done = start("-P", "-m", "admin_cli.main", "worker", "--import", "app")

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert str(own) in line
    assert "is a package of ours" in line
    assert "app.py, line 1" in line
    assert line.endswith("Rename it.")


def test_under_dramatiqs_own_worker_a_shadowed_package_is_one_line_too(tmp_path: Path, start: Start) -> None:
    own = _own(tmp_path, "worker.py")
    code = "\n".join(
        [
            "import dramatiq, sys",
            "from jobs.dramatiq import LedgerBroker",
            "broker = LedgerBroker()",
            "broker.declare_queue('default')",
            "try: broker.consume('default')",
            "except dramatiq.errors.ConnectionError as error: print(error)",
        ]
    )

    done = start("-c", code)

    assert done.stdout.startswith(f"Python finds {own} where our package 'worker' should be"), done.stderr
