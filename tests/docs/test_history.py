"""docs/history.md: its commands work in their order, and it names what the code does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from admin_cli.main import cli
from jobs.app import App
from jobs.ledger.history import pick, settings
from jobs.migration.history_tables import TWINS
from jobs.settings import Settings
from jobs.states import RunState
from jobs.upkeep import history
from jobs.upkeep.history import Mover
from tests.book import Book

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "history.md").read_text()


def test_the_commands_of_the_page_do_what_it_says(
    make_app: Callable[..., App], pg_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(pg_database)
    monkeypatch.setenv("JOBS_DATABASE_URL", pg_database)
    (commands,) = re.findall(r"```console\n(.*?)```", PAGE, flags=re.DOTALL)
    enable, status, disable = (shlex.split(line.removeprefix("$ "))[1:] for line in commands.splitlines())
    book = Book(app.database, now=datetime.now(UTC) - timedelta(hours=1))
    run_id = book.bring(RunState.SUCCEEDED)[0]

    assert "by month, from a minute from now" in run(enable)
    assert "waiting" in run(status)
    monkeypatch.setattr(settings, "MOVES_AFTER", timedelta(0))
    run(enable)
    mover = Mover(app)
    while mover.turn():
        pass

    assert "succeeded" in run(status)
    assert str(run_id) in run(["list", "-o", "json"])
    run(disable)
    assert "disabled" in run(status)
    assert str(run_id) in run(["show", str(run_id), "-o", "json"])


def run(line: list[str]) -> str:
    done: Any = CliRunner().invoke(cli, line)
    assert done.exit_code == 0, f"{line}: {done.output}"
    return str(done.output)


def test_the_page_names_the_views_and_the_numbers_of_the_code() -> None:
    assert {twin.view for twin in TWINS} == set(re.findall(r"`(job_\w+_all)`", PAGE))
    assert f"up to {history.MOST:,}" in PAGE
    assert ("a tenth of a second" in PAGE) == (history.BATCH_SECONDS == 0.1)
    assert "`JOBS_LEASE` ago, two minutes by default" in PAGE
    assert pick.LEASES * Settings.model_fields["lease"].default == timedelta(minutes=2)
    assert timedelta(minutes=1) == settings.MOVES_AFTER
