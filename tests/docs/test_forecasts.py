"""docs/forecasts.md: its commands work, and its answer has the fields of the API."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from admin_api.shapes.scale import Scale
from admin_cli.main import cli
from jobs.app import App
from tests.book import Book

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "forecasts.md").read_text()


def test_the_commands_and_the_answer_of_the_page_are_those_of_the_product(
    sqlite_url: str, make_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBS_DATABASE_URL", sqlite_url)
    app: App = make_app(sqlite_url)
    Book(app.database, now=app.clock.now()).enqueue(queue="payments")
    outputs = []

    (commands,) = re.findall(r"```console\n(.*?)```", PAGE, flags=re.DOTALL)
    for line in commands.splitlines():
        monkeypatch.setenv("JOBS_DATABASE_URL", sqlite_url)
        done: Any = CliRunner().invoke(cli, shlex.split(line.removeprefix("$ "))[1:])
        assert done.exit_code == 0, f"{line}: {done.output}"
        outputs.append(done.output)

    assert "never at this rate" in outputs[0]
    assert json.loads(outputs[1])["data"][0]["drain"]["is_never"] is True
    (answer,) = re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
    assert set(json.loads(answer)) == set(Scale.model_fields)
