"""tests/fork_server.py: a fork does what the real program does, and ends with the client."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fork_server import jobledger
from tests.waiting import wait_until


def run(command: list[str], *arguments: str, folder: Path, url: str) -> tuple[int, str, str]:
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "JOBS_DATABASE_URL": url}
    ended = subprocess.run([*command, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize("arguments", ["status", "list -o json", "show 12345678", "no-such-command"])
def test_a_fork_prints_and_returns_what_the_program_does(arguments: str, tmp_path: Path, sqlite_url: str) -> None:
    forked = run(jobledger(), *arguments.split(), folder=tmp_path, url=sqlite_url)
    program = run([sys.executable, "-m", "admin_cli.main"], *arguments.split(), folder=tmp_path, url=sqlite_url)

    assert forked == program


@pytest.mark.parametrize(("sig", "code"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_signal_reaches_the_fork_and_a_killed_client_ends_it(
    sig: signal.Signals, code: int, tmp_path: Path, sqlite_url: str
) -> None:
    log = tmp_path / "log"
    with log.open("wb") as said:
        serving = subprocess.Popen(
            [*jobledger(), "metrics", "serve", "--port", "0"],
            cwd=tmp_path, stdout=said, stderr=said, env={**os.environ, "JOBS_DATABASE_URL": sqlite_url},
        )  # fmt: skip
    assert wait_until(lambda: "http://" in log.read_text(), seconds=60), log.read_text()
    port = int(log.read_text().partition("http://127.0.0.1:")[2].partition("/")[0].partition('"')[0])
    assert wait_until(lambda: listens(port), seconds=60)

    serving.send_signal(sig)

    assert serving.wait(60) == code
    assert wait_until(lambda: not listens(port), seconds=60)


def listens(port: int) -> bool:
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in lines)
