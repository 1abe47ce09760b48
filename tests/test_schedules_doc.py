"""docs/schedules.md: its code is run as it is printed."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

from tests.admin_cli.conftest import LIMIT, environment
from tests.fork_server import jobledger

DOC = Path(__file__).resolve().parents[1] / "docs" / "schedules.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOC.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_code_and_the_commands_of_the_page_work(tmp_path: Path, sqlite_url: str) -> None:
    (python,) = blocks("python")
    (tmp_path / "shop.py").write_text(python)
    program = tmp_path / "bin" / "jobledger"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(jobledger())} "$@"\n')
    program.chmod(0o755)
    env = environment(tmp_path, {"JOBS_DATABASE_URL": sqlite_url, "JOBS_IMPORTS": "shop"})
    env["PATH"] = f"{program.parent}:{env['PATH']}"

    said = ""
    for command in [*blocks("sh"), "jobledger schedules list"]:
        done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=env, capture_output=True, timeout=LIMIT)
        assert done.returncode == 0, done.stderr.decode()
        said += done.stdout.decode()

    assert "moved: the clocks skip 2027-03-28 02:30:00" in said
    for name in ("NightlyReport", "us-report", "eu-report"):
        assert f"\n{name}\tactive" in said
