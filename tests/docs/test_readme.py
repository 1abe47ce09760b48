"""README.md: its code and its commands run, and it begins with what a newcomer looks for. L."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import fork_server
from tests.docs.pointers import ROOT
from tests.waiting import wait_until

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0]
PICTURE = ROOT / "docs" / "overview.png"


def jobledger(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run(folder, [*fork_server.jobledger(), *words])


def run(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
    answer = subprocess.run(
        command,
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    return answer


def test_it_begins_with_what_it_is_then_code_then_a_picture_then_guarantees_and_modes() -> None:
    order = [
        "**Background jobs you can account for.**",
        "```python",
        "```console",
        "](docs/overview.png)",
        "## Guarantees",
        "## Modes",
    ]

    assert sorted(order, key=TEXT.index) == order
    assert len(CODE.splitlines()) <= 25


def test_the_picture_is_a_small_png() -> None:
    assert PICTURE.read_bytes().startswith(b"\x89PNG")
    assert PICTURE.stat().st_size <= 150_000


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_code_of_the_start_runs_and_its_runs_are_performed(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(CODE)
    jobledger(tmp_path, "migrate", "up")
    good, bad = run(tmp_path, [sys.executable, "shop.py"]).stdout.split()

    worker = subprocess.Popen(
        [sys.executable, "-m", "admin_cli.main", "worker", "--import", "shop"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JOBS_DATABASE_URL": f"sqlite:///{tmp_path}/jobs.db"},
        stderr=subprocess.DEVNULL,
    )
    try:
        jobledger(tmp_path, "--timeout", "100s", "wait", good)
        assert wait_until(lambda: "the mail server is away" in jobledger(tmp_path, "show", bad).stdout, seconds=60)
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)

    assert "invoice 7 sent" in jobledger(tmp_path, "show", good).stdout
    assert "SendInvoice" in jobledger(tmp_path, "list").stdout


def test_each_command_of_the_start_is_one_of_ours() -> None:
    block = re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)[0]
    commands = re.findall(r"^\$ jobledger ([a-z -]+?)(?:  |$| -)", block, re.MULTILINE)

    assert commands == ["migrate up", "dev", "status", "list"]
    assert {word.split()[0] for word in commands} <= {"migrate", "dev", "status", "list"}


def test_each_link_points_to_a_file() -> None:
    links = re.findall(r"\]\(([\w./-]+)\)", TEXT)

    assert len(links) > 15
    assert [link for link in links if not (ROOT / link).is_file()] == []
