"""A secret in any place where applications put secrets reaches no output, except where it was asked for."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path
from uuid import uuid4

import pytest

from jobs import enqueue_many
from jobs.app import App
from jobs.ledger.queries import reports
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.bundles.write import make_bundle
from jobs.states import RunState
from tests.fork_server import jobledger
from tests.jobs.observe.sentry_receiver import Receiver
from tests.seen_app import Keeper
from tests.waiting import wait_until
from tests.worker_process import ROOT, worker

pytestmark = pytest.mark.slow

CANARY = "canary" + uuid4().hex
WORDS = "words" + uuid4().hex
"""A secret that the application wrote into an exception's message: its own words go where messages go."""


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def test_a_secret_argument_result_or_variable_reaches_no_output(app: App, receiver: Receiver, tmp_path: Path) -> None:
    enqueue_many([Keeper(password=CANARY), Keeper(password=CANARY, says=WORDS, fails=True)])

    with worker(
        tmp_path,
        app.settings.database_url or "",
        JOBS_SENTRY_DSN=receiver.dsn,
        JOBS_SENTRY_ARGUMENTS="1",
        JOBS_SENTRY_TRACES="1",
        JOBS_LOG_LEVEL="debug",
        JOBS_LOG_STARTS="1",
        JOBS_METRICS_HOST="127.0.0.1",
    ) as it:
        assert wait_until(lambda: _states(app) == {RunState.SUCCEEDED: 1, RunState.DEAD: 1}, seconds=60)
        assert wait_until(lambda: len(receiver.items("event")) == 2, seconds=60)
        pages = [it.get(path)[1] for path in ("/metrics", "/healthz", "/readyz", "/other")]
        log = it.log
    told = log.read_text() + "".join(pages) + b"".join(receiver.raw).decode()

    assert "keeping" in told  # The application's own lines are there, with what ties them to their run.
    assert all("run_id" in line for line in it.lines() if line["event"] == "keeping")
    assert "could not keep it" in told  # Messages of exceptions are the application's own words.
    assert "[Filtered]" in told
    assert CANARY not in told
    assert WORDS in log.read_text()
    assert WORDS in b"".join(receiver.raw).decode()
    assert WORDS not in "".join(pages)
    bundle = tmp_path / "incident.jlb"
    make_bundle(app, Operator("ada"), Selector(is_all=True), bundle, limit=10)
    with zipfile.ZipFile(bundle) as members:
        kept = b"".join(members.read(name) for name in members.namelist())
    assert b"could not keep it" in kept
    assert CANARY.encode() not in kept


def test_an_argument_that_is_refused_is_not_shown(sqlite_url: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JOBS_DATABASE_URL": sqlite_url}
    command = ["enqueue", "Keeper", "-a", f"password={CANARY}", "-a", f"fails={CANARY}", "--import", "tests.seen_app"]

    ended = subprocess.run(
        [*jobledger(), *command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 2
    assert "fails" in ended.stderr
    assert CANARY not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["config", "show", "--origin"],
        ["config", "show", "-o", "json"],
        ["check"],
        ["--debug", "check"],
        ["metrics", "serve"],
    ],
    ids=" ".join,
)
def test_passwords_of_urls_are_shown_by_no_command(arguments: list[str], tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("JOBS_")},
        "PYTHONPATH": str(ROOT),
        "JOBS_DATABASE_URL": f"postgresql://u:{CANARY}@127.0.0.1:9/db?sslpassword={CANARY}",
        "JOBS_REDIS_URL": f"redis://:{CANARY}@127.0.0.1:9/0",
        "JOBS_SENTRY_DSN": f"https://{CANARY}@127.0.0.1/7",
        "JOBS_CONNECT_TIMEOUT": "1s",
    }

    ended = subprocess.run(
        [*jobledger(), *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )

    assert ended.stdout + ended.stderr != ""
    assert CANARY not in ended.stdout + ended.stderr


@pytest.mark.parametrize("name", ["JOBS_DATABASE_URL", "JOBS_REDIS_URL", "JOBS_SENTRY_DSN"])
def test_a_secret_that_is_refused_is_not_shown(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JOBS_DATABASE_URL": "sqlite:///jobs.db", name: CANARY}

    ended = subprocess.run([*jobledger(), "check"], cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert ended.returncode != 0
    assert CANARY not in ended.stdout + ended.stderr


def _states(app: App) -> dict[RunState, int]:
    with app.database.read() as connection:
        return reports.count_by_state(connection)
