"""`jobs config`, `check` and `metrics`, run as people run them."""

from __future__ import annotations

import os
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.observe.catalogue import ALL
from jobs.states import Cause, Outcome
from tests.book import Book
from tests.conftest import MakeApp
from tests.fork_server import jobledger
from tests.waiting import wait_until
from tests.worker_process import ROOT, get, parse, total, worker


def _run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*jobledger(), *arguments],
        cwd=cwd,
        env=_environment(**environment),
        capture_output=True,
        text=True,
        timeout=60,
    )


def _environment(**more: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
    return {**plain, "PYTHONPATH": str(ROOT), **more}


def test_config_show_says_what_is_in_force_and_where_from(tmp_path: Path) -> None:
    ended = _run("config", "show", "--origin", "--set-only", cwd=tmp_path, JOBS_THREADS="4", JOBS_THREDS="5")

    assert ended.returncode == 0
    assert ended.stdout.splitlines()[1:] == ["JOBS_THREADS\t4\tenvironment JOBS_THREADS"]
    assert "Did you mean JOBS_THREADS?" in ended.stderr


def test_check_is_good_on_a_ledger_that_serves(sqlite_url: str, tmp_path: Path) -> None:
    ended = _run("check", cwd=tmp_path, JOBS_DATABASE_URL=sqlite_url)

    assert (ended.returncode, ended.stderr.startswith("database: well")) == (0, True)


def test_check_warns_of_kinds_whose_runs_died_recently_because_arguments_do_not_fit(
    sqlite_url: str, tmp_path: Path, make_app: MakeApp
) -> None:  # K2.13
    database = make_app(sqlite_url).database
    for kind, cause, days in (
        ("Charge", Cause.BAD_ARGUMENTS, 0), ("Charge", Cause.BAD_ARGUMENTS, 0), ("Mail", Cause.BAD_ARGUMENTS, 0),
        ("Old", Cause.BAD_ARGUMENTS, 2), ("Failing", Cause.EXHAUSTED, 0),
    ):  # fmt: skip
        book = Book(database, now=datetime.now(UTC) - timedelta(days=days))
        (held,) = book.claim(book.enqueue(kind=kind), kinds=[kind])
        book.end(held, Outcome.GAVE_UP, cause=cause)

    ended = _run("check", cwd=tmp_path, JOBS_DATABASE_URL=sqlite_url)

    assert ended.returncode == 0
    warnings = [line for line in ended.stderr.splitlines() if line.startswith("warning:")]
    assert [line.split(" died")[0] for line in warnings] == ["warning: 2 runs of Charge", "warning: 1 run of Mail"]
    assert "dlq list --kind Charge --cause bad_arguments" in warnings[0]


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "words"),
    [
        (["check"], {}, 2, "JOBS_DATABASE_URL"),
        (["check", "--database"], {"JOBS_DATABASE_URL": "postgresql://u@127.0.0.1:9/x"}, 5, "127.0.0.1"),
        (["check", "--worker"], {}, 2, "JOBS_METRICS_PORT"),
        (["check", "--worker"], {"JOBS_METRICS_PORT": "9"}, 6, "does not answer"),
        (["check", "--scheduler"], {"JOBS_LEDGER_METRICS_PORT": "9"}, 6, "does not answer"),
        (["check", "--ready"], {}, 2, "--worker or --scheduler"),
        (["metrics", "serve", "--port", "99999"], {}, 2, "99999"),
    ],
)
def test_each_problem_is_named_with_its_exit_code(
    arguments: list[str], environment: dict[str, str], code: int, words: str, tmp_path: Path
) -> None:
    ended = _run(*arguments, cwd=tmp_path, **environment)

    assert ended.returncode == code
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_a_worker_is_probed_by_check(sqlite_url: str, tmp_path: Path) -> None:
    with worker(tmp_path, sqlite_url) as it:
        port = it.url.rpartition(":")[2]
        assert wait_until(lambda: it.get("/readyz")[0] == 200, seconds=60)

        alive = _run("check", "--worker", cwd=tmp_path, JOBS_METRICS_PORT=port)
        ready = _run("check", "--worker", "--ready", cwd=tmp_path, JOBS_METRICS_PORT=port)

    gone = _run("check", "--worker", cwd=tmp_path, JOBS_METRICS_PORT=port)
    assert (alive.returncode, ready.returncode, gone.returncode) == (0, 0, 6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [["metrics", "serve", "--port", "0"], ["scheduler", "--metrics-port", "0"]], ids=" ".join
)
def test_the_ledgers_metrics_are_served_until_told_to_stop(command: list[str], sqlite_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*jobledger(), *command],
            cwd=tmp_path,
            env=_environment(JOBS_DATABASE_URL=sqlite_url, JOBS_IMPORTS="tests.seen_app"),
            stderr=file,
        )
    try:
        assert wait_until(lambda: "http://" in log.read_text() or process.poll() is not None, seconds=60)
        url = (
            "http://127.0.0.1:" + log.read_text().partition("http://127.0.0.1:")[2].partition('"')[0].partition("/")[0]
        )
        assert total(parse(get(f"{url}/metrics")[1]), "jobs_ledger_up") == 1
        if command[0] == "scheduler":
            fact = "jobs_scheduler_last_tick_timestamp_seconds"
            assert wait_until(lambda: total(parse(get(f"{url}/metrics")[1]), fact) > 1.6e9, seconds=60)
        assert get(f"{url}/readyz")[0] == 200
        assert get(f"{url}/healthz")[0] == 200
    finally:
        process.send_signal(signal.SIGTERM)

    assert process.wait(60) == 0


@pytest.mark.slow
def test_dev_reads_a_dotenv_file_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("JOBS_METRICS_PORT=0\nJOBS_THREADS=none\nSHOP_KEY=1\n")
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*jobledger(), "dev", "--import", "tests.seen_app"],
            cwd=tmp_path,
            env=_environment(JOBS_THREADS="2"),
            stderr=file,
        )
    try:
        assert wait_until(lambda: "Metrics and health are served" in log.read_text(), seconds=60), log.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
    process.wait(60)


@pytest.mark.slow
def test_dev_schedules_too_and_its_scheduler_ends_with_it_whatever_the_end(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from datetime import timedelta\nfrom jobs import Every, Job\n"
        "class Tick(Job, schedule=Every(timedelta(seconds=1))):\n"
        "    def perform(self): pass\n"
    )
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*jobledger(), "dev", "--import", "shop"],
            cwd=tmp_path,
            env=_environment(JOBS_LOG_FORMAT="json"),
            stderr=file,
        )
    try:
        assert wait_until(lambda: "Run succeeded" in log.read_text(), seconds=60), log.read_text()
    finally:
        process.kill()
        process.wait()

    assert wait_until(lambda: "Scheduler stopped" in log.read_text(), seconds=60), log.read_text()


def test_every_metric_is_listed(tmp_path: Path) -> None:
    ended = _run("metrics", "names", cwd=tmp_path)

    assert [line.split("\t")[0] for line in ended.stdout.splitlines()] == [metric.name for metric in ALL]
