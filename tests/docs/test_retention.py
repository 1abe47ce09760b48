"""docs/retention.md: its commands do what it says, in their order, and its numbers are those of the code."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from admin_cli.main import cli
from jobs.app import App
from jobs.definition import registry
from jobs.operations.control.retention import MOST_COUNTED
from jobs.settings import Settings
from jobs.states import RunState
from tests.book import Book

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "retention.md").read_text()
DAY = 86400.0


def test_the_class_and_the_commands_of_the_page_do_what_it_says(
    sqlite_url: str, make_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_classes", {})  # Other tests have jobs of the same names.
    app: App = make_app(sqlite_url)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(compile(code, "docs/retention.md", "exec"), {"__name__": "retention_page"})
    assert registry.get("Invoice").options.retain == timedelta(days=3650)
    registry.forget("Invoice")
    Book(app.database, now=datetime.now(UTC) - timedelta(days=2)).bring(RunState.SUCCEEDED, queue="mail")
    (commands,) = re.findall(r"```console\n(.*?)```", PAGE, flags=re.DOTALL)
    first, show, clear_dead, clear = commands.splitlines()

    def run(line: str) -> Any:
        monkeypatch.setenv("JOBS_DATABASE_URL", sqlite_url)
        return CliRunner().invoke(cli, shlex.split(line.removeprefix("$ "))[1:])

    def kept() -> dict[str, tuple[float | None, bool]]:
        shown = json.loads(run(f"{show} -o json").output)["data"]["retention"]
        return {one["state"]: (one["seconds"], one["is_set"]) for one in shown}

    asked = run(first.removesuffix(" --yes"))
    assert asked.exit_code == 2
    assert "delete 1 run" in asked.output
    assert kept()["succeeded"] == (7 * DAY, False)
    assert "succeeded 1d, set by an operator" in run(first).output
    assert kept() == {"succeeded": (DAY, True), "cancelled": (30 * DAY, False), "dead": (None, True)}
    assert "set by an operator" in run(show).output
    assert run(clear_dead).exit_code == 0
    assert kept()["dead"] == (None, False)
    assert "it was: succeeded 1d" in run(clear).output
    assert kept()["succeeded"] == (7 * DAY, False)


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    default = {name: Settings.model_fields[f"retain_{name}"].default for name in ("succeeded", "cancelled", "dead")}

    assert default == {"succeeded": timedelta(days=7), "cancelled": timedelta(days=30), "dead": None}
    assert f"up to {MOST_COUNTED:,}" in PAGE
