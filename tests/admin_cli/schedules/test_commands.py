"""`jobs schedules` and `jobs scheduler --once`, as people type them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.admin_cli.conftest import LIMIT, Ended, environment, run_on_terminal
from tests.fork_server import jobledger

SHOP = """
from datetime import timedelta
from jobs import Cron, Every, Job

class NightlyReport(Job, schedule=Cron("0 3 * * *", timezone="Europe/Paris")):
    region: str = "everywhere"
    def perform(self):
        pass

schedules = [
    Every(timedelta(days=1), job=NightlyReport(region="eu"), name="the-report-of-every-day-for-the-european-union"),
]
"""

Run = Callable[..., Ended]


@pytest.fixture
def env(tmp_path: Path, sqlite_url: str) -> dict[str, str]:
    (tmp_path / "shop.py").write_text(SHOP)
    return environment(tmp_path, {"JOBS_DATABASE_URL": sqlite_url, "JOBS_IMPORTS": "shop", "JOBS_ACTOR": "ann"})


@pytest.fixture
def jobs(env: dict[str, str], tmp_path: Path) -> Run:
    """``jobs("schedules", "list")`` in a pipe."""

    def run(*args: str) -> Ended:
        done = subprocess.run([*jobledger(), *args], cwd=tmp_path, env=env, capture_output=True, timeout=LIMIT)
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def on_screen(env: dict[str, str], tmp_path: Path) -> Run:
    """The same, on a terminal of 80 columns."""

    def run(*args: str) -> Ended:
        words = " ".join(f"'{arg}'" for arg in args)
        command = ["sh", "-c", f"cd {tmp_path} && exec {shlex.join(jobledger())} {words}"]
        return run_on_terminal(command, env=env, columns=80)

    return run


def test_a_scheduler_that_runs_once_writes_what_the_code_declares(jobs: Run, on_screen: Run) -> None:
    assert jobs("scheduler", "--once").code == 0

    listed = json.loads(jobs("schedules", "list", "-o", "json").out)["data"]
    assert [(one["name"], one["owner"], one["state"]) for one in listed] == [
        ("NightlyReport", "code", "active"),
        ("the-report-of-every-day-for-the-european-union", "code", "active"),
    ]
    for words in (("list",), ("show", "NightlyReport"), ("preview", "NightlyReport", "-n", "3")):
        shown = on_screen("schedules", *words)
        assert shown.code == 0, shown.out
        assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in shown.lines) <= 80, shown.out
        assert len(shown.lines) >= 3


def test_a_schedule_lives_from_create_to_delete(jobs: Run) -> None:
    made = jobs("schedules", "create", "mine", "NightlyReport", "--every", "5m", "-a", "region=us", "--reason", "try")
    assert (made.code, "mine: Every 5m; next" in made.err) == (0, True), made.err

    edited = jobs("schedules", "edit", "mine", "--cron", "0 9 * * 1-5", "--timezone", "Europe/Paris")
    assert (edited.code, "Europe/Paris" in edited.err) == (0, True), edited.err
    assert jobs("schedules", "pause", "mine", "--reason", "why not").err == "mine: paused\n"
    assert jobs("schedules", "resume", "mine").err == "mine: resumed\n"
    run_id = jobs("schedules", "run", "mine").out.strip()

    shown = json.loads(jobs("schedules", "show", "mine", "-o", "json").out)["data"]
    assert shown["arguments"] == {"region": "us"}
    assert shown["definition"]["expression"] == "0 9 * * 1-5"
    assert json.loads(jobs("show", run_id, "-o", "json").out)["data"]["kind"] == "NightlyReport"
    assert jobs("schedules", "delete", "mine", "--yes").code == 0
    assert jobs("schedules", "show", "mine").code == 3


def test_backfill_shows_first_and_asks(jobs: Run) -> None:
    jobs("schedules", "create", "mine", "NightlyReport", "--cron", "0 0 * * *")
    span = ("--from", "2026-03-01", "--to", "2026-03-07")

    shown = jobs("schedules", "backfill", "mine", *span, "--dry-run")
    unasked = jobs("schedules", "backfill", "mine", *span)
    done = jobs("schedules", "backfill", "mine", *span, "--yes")

    assert (len(shown.lines), shown.err) == (7, "would make 7 runs\n")
    assert (unasked.code, done.err) == (2, "mine: made 7 runs\n")
    assert jobs("schedules", "backfill", "mine", *span, "--dry-run").out == ""


def test_preview_needs_no_ledger_and_says_what_the_clocks_do(jobs: Run, env: dict[str, str]) -> None:
    del env["JOBS_DATABASE_URL"]

    shown = jobs(
        "schedules", "preview", "--cron", "30 2 * * *", "--timezone", "Europe/Paris", "--from", "2027-03-28", "-n", "1"
    )  # fmt: skip

    assert shown.code == 0, shown.err
    assert "moved: the clocks skip 2027-03-28 02:30:00" in shown.out
    assert "2027-03-28 01:00:00" in shown.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("preview", "--cron", "30 2 * * x"), 2, "is not a valid day-of-week"),
        (("preview", "--cron", "@daily", "--timezone", "Paris"), 2, "Europe/Paris"),
        (("preview",), 2, "Give the NAME"),
        (("create", "x", "NightlyReport"), 2, "Give a time"),
        (("create", "x", "NightlyRepor", "--every", "5m"), 3, "NightlyReport"),
        (("create", "x", "NightlyReport", "--at", "2001-01-01"), 2, "never fire"),
        (("create", "x", "NightlyReport", "--every", "5m", "--cron", "@daily"), 2, "Give one of"),
        (("pause", "nothing"), 3, "There is no schedule 'nothing'"),
        (("edit", "nothing"), 2, "No option to change"),
    ],
)
def test_a_mistake_is_one_line_of_output(jobs: Run, words: tuple[str, ...], code: int, said: str) -> None:
    ended = jobs("schedules", *words)

    assert (ended.code, said in ended.err) == (code, True), ended.err
    assert "Traceback" not in ended.err


def test_an_invalid_schedule_stops_the_start_and_names_its_place(jobs: Run, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP + "schedules.append(Cron('@daily', job=NightlyReport))\n")
    twice = jobs("scheduler", "--once")
    (tmp_path / "shop.py").write_text(SHOP.replace("0 3 * * *", "0 33 * * *"))
    wrong = jobs("scheduler", "--once")

    assert (twice.code, "Two schedules are called 'NightlyReport'" in twice.err) == (2, True)
    assert (wrong.code, "shop.py, line 5" in wrong.err) == (2, True), wrong.err
