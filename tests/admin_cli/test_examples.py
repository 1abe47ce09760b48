"""Every command's help has an example, and every example does what it shows."""

from __future__ import annotations

import io
import json
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest

from admin_cli.main import cli
from admin_cli.program.exits import Exit
from tests.admin_cli import world
from tests.admin_cli.conftest import Program, environment
from tests.fork_server import jobledger
from tests.waiting import wait_until
from tests.worker_process import get

SERVES = {
    "dev": "Process ready",
    "worker": "Process ready",
    "scheduler": "Scheduler started",
    "metrics serve": "serving http",
    "api serve": "serving http",
}
"""Commands that go on until they are stopped, and what they say when they serve."""
PEOPLE = ("users create", "users list", "users role", "users reset", "users disable", "users enable")
PROGRAMS = ("tokens create", "tokens list", "tokens revoke")
ELSEWHERE = {
    "demo",
    "shell-init",
    "completion",
    "check",
    "mcp",
    "import-dramatiq",
    "import-celery",
    "sessions end",
    "history enable",
    "history disable",
    *PEOPLE,
    *PROGRAMS,
}
"""Run by test_demo, by tests/docs/test_history.py (on PostgreSQL alone), by tests/jobs/dramatiq/test_importing.py,
by test_shell_init (in the shells
themselves), with the worker below, and one after another by ``test_the_examples_of_users_and_tokens_work``."""
EXPECTED = {
    "jobledger status --watch": Exit.TIMED_OUT,
    "jobledger --timeout 1m wait c9165be1": Exit.RUN_DEAD,
    "jobledger compat --import shop.jobs": Exit.UNHEALTHY,
    # The worker of this ledger was not started for chaos, and no log was written.
    'jobledger chaos allow --target staging --for 8h --reason "game day"': Exit.CONFLICT,
    "jobledger chaos run --target staging --for 2m --seed 7": Exit.CONFLICT,
    "jobledger chaos run --target staging --for 2m --seed 7 --log chaos.jsonl": Exit.CONFLICT,
    "jobledger chaos run --target staging --repeat chaos.jsonl": Exit.USAGE,
    "jobledger chaos revoke": Exit.CONFLICT,
}
"""What else than 0 an example gives here, as its help says."""
FIRST = ("bundle", "shadow")
"""They read dead runs, which other examples replay."""
LAST = ("alerts remove", "audit undo", "purge", "dlq purge", "schedules delete", "migrate down")


def commands(
    group: click.Command = cli, path: str = "", above: click.Context | None = None
) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group, parent=above)
    if not isinstance(group, click.Group):
        yield path, group
        return
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield from commands(found, f"{path} {name}".strip(), context)


def examples(command: click.Command) -> list[str]:
    lines = [line.strip() for line in (command.help or "").splitlines()]
    return [line for line in lines if line.startswith(("jobledger ", "eval "))]


@pytest.mark.parametrize(("path", "command"), [pytest.param(*one, id=one[0]) for one in commands()])
def test_every_help_has_an_example(path: str, command: click.Command) -> None:
    assert examples(command)


def test_every_example_works(program: Program) -> None:
    """All in one ledger; commands that need dead runs come first, and those that delete last."""
    told = [(path, command, line) for path, command in commands() for line in examples(command)]
    told = [one for one in told if one[0] not in ELSEWHERE and one[0] not in SERVES]
    told.sort(key=lambda one: (one[0] not in FIRST, LAST.index(one[0]) + 1 if one[0] in LAST else 0))

    for _, command, line in told:
        words = shlex.split(line.partition(" > ")[0])[1:]
        if "--watch" in words:
            words = ["--timeout", "300ms", *words]
        if "--yes" not in words and any(one.name == "yes" for one in command.params):
            # Nobody answers a question here.
            words.append("--yes")

        ended = program(*words)

        assert ended.code == EXPECTED.get(line, Exit.DONE), (line, ended.err)


def test_the_examples_of_users_and_tokens_work(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("argon2")
    told = {path: examples(command)[0] for path, command in commands()}
    token = ""

    for path in (*PEOPLE, *PROGRAMS):
        monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery staple\n"))
        words = shlex.split(told[path].partition(" < ")[0])[1:]
        if path == "tokens revoke":
            words[-1] = token
        ended = program(*words)

        assert ended.code == Exit.DONE, (told[path], ended.err)
        if path == "tokens create":
            token = json.loads(program("tokens", "list", "-o", "json").out)["data"][0]["id"]

    assert program("api", "link").code == Exit.DONE
    linked = json.loads(program("sessions", "list", "-o", "json").out)["data"][0]["id"]
    ended = program(*shlex.split(told["sessions end"])[1:-1], linked)
    assert ended.code == Exit.DONE, ended.err


def test_the_examples_of_servers_work_and_check_finds_them(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "jobs.py").write_text(world.SHOP)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    env = environment(tmp_path, {"JOBS_DATABASE_URL": f"sqlite:///{tmp_path}/jobs.db"})
    serving = {**env, "JOBS_METRICS_PORT": str(port)}
    told = {path: examples(command)[0] for path, command in commands()}
    assert _program(tmp_path, "jobledger migrate up", env).wait(60) == 0
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for path in ("worker", "dev", "scheduler"):
            started[path] = _program(tmp_path, told[path], serving if path == "worker" else env)
        started["metrics serve"] = _program(tmp_path, told["metrics serve"].replace("9192", "0"), env)
        started["api serve"] = _program(tmp_path, told["api serve"] + " --port 0", env)

        for path, says in SERVES.items():
            said = tmp_path / f"{started[path].pid}.log"
            assert wait_until(lambda said=said, says=says: says in said.read_text(), seconds=90), said.read_text()
        # It listens before it answers, and only then ends with 0 on a signal.
        said = (tmp_path / f"{started['api serve'].pid}.log").read_text()
        url = next(word for word in said.split() if word.startswith("http://"))
        assert get(f"{url}/healthz")[0] < 500
        assert wait_until(lambda: _program(tmp_path, told["check"], serving).wait(60) == 0, seconds=60)
    finally:
        for one in started.values():
            one.send_signal(signal.SIGINT)
        codes = {path: one.wait(60) for path, one in started.items()}
    assert codes == dict.fromkeys(SERVES, 0)


def _program(folder: Path, line: str, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    command = [*jobledger(), *shlex.split(line)[1:]]
    with open(folder / "next.log", "wb") as said:
        started = subprocess.Popen(command, cwd=folder, env=dict(env), stdout=said, stderr=said)
    (folder / "next.log").rename(folder / f"{started.pid}.log")
    return started
