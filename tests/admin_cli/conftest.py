"""Run the program as people do: on a terminal (a pty), and with its output piped."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs import boot
from jobs.app import App
from jobs.definition import registry
from tests.admin_cli import world
from tests.fork_server import forked

ROOT = Path(__file__).parents[2]
SAMPLE = "tests.admin_cli.sample"
LIMIT = 60.0
"""Seconds after which a child is taken for hung."""


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str = ""

    @property
    def lines(self) -> list[str]:
        return self.out.replace("\r\n", "\n").splitlines()


def environment(tmp_path: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment without this machine's settings, and with a new home folder."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    ours = {
        "HOME": str(tmp_path),
        "TERM": "xterm-256color",
        "TZ": "UTC",
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
        "JOBLEDGER_SHELL_INIT": "bash",
    }
    return {**kept, **ours, **(extra or {})}


def run_on_terminal(
    command: Sequence[str], *, env: Mapping[str, str], columns: int = 80, typed: str = "", after: str = ""
) -> Ended:
    """Run ``command`` on a terminal of its own; ``typed`` is typed once it has shown ``after``."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = subprocess.Popen(
        command,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=dict(env),
        start_new_session=True,
        # Make it the controlling terminal: otherwise Ctrl-C sends no signal, and a shell has no job control.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(follower)
    waiting = select.poll()
    waiting.register(leader, select.POLLIN)
    seen = bytearray()
    deadline = time.monotonic() + LIMIT
    try:
        while time.monotonic() < deadline:
            if typed and after.encode() in seen:
                os.write(leader, typed.encode())
                typed = ""
            if not waiting.poll(200):
                if child.poll() is not None:
                    break
                continue
            try:
                block = os.read(leader, 65536)
            except OSError:
                # Linux raises EIO when the last follower is closed.
                break
            if not block:
                break
            seen += block
        code = child.wait(timeout=max(0.1, deadline - time.monotonic()))
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        os.close(leader)
    return Ended(code, seen.decode())


@pytest.fixture
def on_terminal(tmp_path: Path) -> Callable[..., Ended]:
    """``on_terminal("sample-list", columns=80, env={...})``: the sample program on a pty."""

    def run(
        *args: str, columns: int = 80, env: Mapping[str, str] | None = None, typed: str = "", after: str = ""
    ) -> Ended:
        # A fork has its encoding from the fork server.
        is_plain = not any(name.startswith("PYTHON") for name in env or ())
        command = [*(forked(SAMPLE) if is_plain else [sys.executable, "-m", SAMPLE]), *args]
        ours = environment(tmp_path, env)
        return run_on_terminal(command, env=ours, columns=columns, typed=typed, after=after)

    return run


@pytest.fixture
def piped(tmp_path: Path) -> Callable[..., Ended]:
    """``piped("sample-list")``: the sample program with stdin, stdout and stderr as pipes."""

    def run(*args: str, env: Mapping[str, str] | None = None, typed: str = "") -> Ended:
        ended = subprocess.run(
            [*forked(SAMPLE), *args],
            input=typed.encode(),
            capture_output=True,
            env=environment(tmp_path, env),
            timeout=LIMIT,
        )
        return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    return run


@pytest.fixture
def on_shell_terminal(tmp_path: Path) -> Callable[..., str]:
    """``on_shell_terminal(["bash", "-i"], home, "jobs\\nexit\\n")``: an interactive shell on a pty."""

    def run(command: Sequence[str], home: Path, typed: str) -> str:
        path = f"{home}/bin:{os.environ['PATH']}"
        # JOBLEDGER_SHELL_INIT is left out, because the start file has to set it.
        env = {**environment(tmp_path), "HOME": str(home), "PATH": path, "SHELL": "/bin/bash"}
        del env["JOBLEDGER_SHELL_INIT"]
        return run_on_terminal(command, env=env, typed=typed, columns=200).out.replace("\r\n", "\n")

    return run


@dataclass(frozen=True)
class Program:
    """The program in this process, in a new folder with ``shop/jobs.py`` and a filled ledger."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *args: str) -> Ended:
        from admin_cli.main import run

        self.capsys.readouterr()
        code = run(args)
        return Ended(code, *self.capsys.readouterr())


@pytest.fixture
def in_shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[App], Program]]:
    """``in_shop(app)``: the program over a ledger that is filled as ``world.py`` says, piped."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "jobs.py").write_text(world.SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBS_ACTOR", "ada@desk")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setattr(sys, "path", list(sys.path))
    # The App of the test stays the current one.
    monkeypatch.setattr(boot, "configure", lambda made: made)
    known = set(registry.kinds())

    def make(app: App) -> Program:
        monkeypatch.setenv("JOBS_DATABASE_URL", app.settings.database_url or "")
        world.build(app)
        monkeypatch.setenv("JOBS_SEAL_KEYS_FILE", str(tmp_path / "keys"))
        program = Program(tmp_path, capsys)
        if not (tmp_path / "keys").exists():  # A test may fill two ledgers.
            assert program("seal", "key", "--id", "first").code == 0
        world.seal_for(42)
        world.store_for(world.DEAD)
        made = program("schedules", "create", "nightly", "Report", "--cron", "0 3 * * *", "--import", "shop.jobs")
        assert made.code == 0, made.err
        return program

    yield make
    for kind in set(registry.kinds()) - known:
        registry.forget(kind)
    for name in ("shop.jobs", "shop"):
        sys.modules.pop(name, None)


@pytest.fixture
def program(in_shop: Callable[[App], Program], app: App) -> Program:
    """``program("list", "-o", "json")``: on each dialect."""
    return in_shop(app)
