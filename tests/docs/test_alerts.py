"""docs/alerts.md: its commands work, and its message has the fields that are sent."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from admin_cli.main import cli
from jobs.alerting.grouping import TOPICS
from jobs.alerting.watch import _message
from jobs.clock import SystemClock, new_run_id
from jobs.ledger.operators.alert_routes import StateRecord
from jobs.operations.insight.alerts import Alert

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "alerts.md").read_text()


def test_the_commands_of_the_page_work(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBS_DATABASE_URL", sqlite_url)
    said = {}

    (commands,) = re.findall(r"```console\n(.*?)```", PAGE, flags=re.DOTALL)
    for line in commands.splitlines():
        words = shlex.split(line.removeprefix("$ "))[1:]
        done: Any = CliRunner().invoke(cli, words)
        assert done.exit_code == 0, f"{line}: {done.output}"
        said[words[1]] = done.output

    assert [line.split("\t")[0] for line in said["list"].splitlines()[1:]] == ["email", "slack", "webhook"]


def test_the_topics_and_the_message_of_the_page_are_those_of_the_code() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)) == set(TOPICS)
    (text,) = re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
    now = SystemClock().now()
    state = StateRecord(
        route="r", fingerprint="f", code="dead", subject=None, sentence="s", is_firing=True, since=now, sent_at=now,
        sequence=1, run_id=new_run_id(),
    )  # fmt: skip
    sent = _message(state, Alert(code="dead", is_bad=False, sentence="s", command="c"), "firing")
    written = json.loads(text)

    assert (written.keys(), written["data"].keys()) == (sent.keys(), sent["data"].keys())
