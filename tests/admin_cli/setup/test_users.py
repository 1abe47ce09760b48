"""`jobs users` and `jobs tokens`, as people type them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from tests.admin_cli.conftest import LIMIT, Ended, environment
from tests.fork_server import jobledger

Run = Callable[..., Ended]
PASSWORD = "a long enough password"


@pytest.fixture
def jobs(tmp_path: Path, sqlite_url: str) -> Run:
    env = environment(tmp_path, {"JOBS_DATABASE_URL": sqlite_url, "JOBS_ACTOR": "ann"})

    def run(*args: str, typed: str = "") -> Ended:
        done = subprocess.run(
            [*jobledger(), *args],
            cwd=tmp_path, env=env, capture_output=True, timeout=LIMIT, input=typed.encode(),
        )  # fmt: skip
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


def test_a_user_is_made_gets_a_token_and_is_disabled(jobs: Run) -> None:
    made = jobs("users", "create", "bob", "--role", "operator", "--password-stdin", typed=f"{PASSWORD}\n")
    token = jobs("tokens", "create", "ci", "--user", "bob", "--allow", "runs:read", "--for", "30d")
    gone = jobs("users", "disable", "bob", "--reason", "left")
    listed = jobs("users", "list", "-o", "json")
    seen = jobs("audit", "list")

    assert (made.code, made.err) == (0, "user bob may sign in as operator.\n")
    assert token.out.startswith("jl_")
    assert len(token.lines) == 1
    assert (gone.code, '"name": "bob"' in listed.out) == (0, True)
    assert "$argon2" not in listed.out
    assert PASSWORD not in seen.out + listed.out


def test_a_session_is_listed_and_ended(jobs: Run) -> None:
    """K2.2"""
    link = jobs("api", "link")
    (session,) = json.loads(jobs("sessions", "list", "--user", "ann", "-o", "json").out)["data"]
    ended = jobs("sessions", "end", session["id"], "--reason", "not mine")

    assert (link.code, session["kind"], session["actor"]) == (0, "link", "ann")
    assert ended.err == f"session {session['id']} of ann has ended.\n"
    assert jobs("sessions", "list", "-o", "json").out.count('"id"') == 0
    assert jobs("sessions", "end", str(UUID(int=0))).code == 3


@pytest.mark.parametrize(
    ("args", "typed", "code", "said"),
    [
        (("users", "create", "bob", "--role", "admin"), "", 2, "--password-stdin"),
        (("users", "create", "bob", "--role", "admin", "--password-stdin"), "short\n", 2, "12 to 256 characters"),
        (
            ("users", "create", "b b", "--role", "admin", "--password-stdin"),
            f"{PASSWORD}\n",
            2,
            "not a valid user name",
        ),
        (("users", "disable", "nobody"), "", 3, "There is no user nobody"),
        (("tokens", "create", "x", "--user", "nobody", "--allow", "runs:read", "--for", "1d"), "", 3, "no user"),
        (("tokens", "create", "x", "--user", "b", "--allow", "everything", "--for", "1d"), "", 2, "no permission"),
    ],
)
def test_a_mistake_is_one_line(jobs: Run, args: tuple[str, ...], typed: str, code: int, said: str) -> None:
    ended = jobs(*args, typed=typed)

    assert ended.code == code
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1
