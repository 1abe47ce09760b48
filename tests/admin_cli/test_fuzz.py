"""Bad input to every option and argument of every command: a clear answer and a known exit code, never a traceback."""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Callable

import click
import pytest

from admin_cli.program.exits import Exit
from jobs import boot
from jobs.app import App
from tests.admin_cli.conftest import Program
from tests.admin_cli.test_examples import SERVES, commands
from tests.conftest import MakeApp

BAD = (
    "", "-1", "0", "999999999999999999999999", "a" * 5000, "\x1b[31mred", "\U0001f4a5", "'", "[", "{", "%", "%s",
    "*", "?", "..", "/etc/passwd",
    "2026-99-99", "1e999", "nan",
    "a=b=c", "=", "a=", "=b", ",", ":", "where:", "\udce9",
    "null", "true", "-", "--", "0x10", "a b", "\u202e", "1.5", "@", "$(id)", "id,id", "-id", "args.:1", "age:>",
    "\n", "\t",
)  # fmt: skip
EACH = 2
"""Values tried for each; of a seed that is always the same. The whole list is a matter of a minute."""
ALLOWED = {Exit.DONE, Exit.USAGE, Exit.NOT_FOUND, Exit.CONFLICT, Exit.UNHEALTHY, Exit.RUN_DEAD}
LEFT_OUT = {*SERVES, "demo", "status", "migrate down"}
"""What serves, repeats, or would take the tables away from the others."""


def lines() -> list[list[str]]:
    chance, told = random.Random(20261125), []
    for path, command in commands():
        if path in LEFT_OUT:
            continue
        needed = ["x" for one in command.params if isinstance(one, click.Argument) and one.required]
        yes = ["--yes"] if any(one.name == "yes" for one in command.params) else []
        for one in command.params:
            if isinstance(one, click.Option) and (one.is_flag or one.name == "watch"):
                continue
            for bad in chance.sample(BAD, EACH):
                given = [one.opts[-1], bad, *needed] if isinstance(one, click.Option) else [bad, *needed[1:]]
                told.append([*path.split(), *given, *yes])
    return told


def test_bad_input_never_ends_in_a_traceback(
    in_shop: Callable[[App], Program], make_app: MakeApp, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(sqlite_url)
    monkeypatch.setattr(boot, "_app", app)
    program = in_shop(app)

    for line in lines():
        monkeypatch.setattr(sys, "stdin", io.StringIO(""))
        ended = program(*line)

        assert ended.code in ALLOWED, (line, ended)
        assert "bug in jobledger" not in ended.err, (line, ended.err)
        assert "Traceback (most" not in ended.err, (line, ended.err)
        assert "\x1b" not in ended.out + ended.err, line
        assert ended.code == 0 or ended.err.startswith(("error: ", "Usage: ")) or "error: " in ended.err, (
            line,
            ended.err,
        )
