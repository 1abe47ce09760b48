"""docs/targets.md: its class is published, its commands work, and its tables are those of the code."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from admin_cli.main import cli
from jobs.app import App
from jobs.definition import registry
from jobs.definition.published import published_kinds
from jobs.ledger.published_kinds import publish_kinds
from jobs.observe.catalogue import LEDGER
from jobs.operations.audit.operator import Operator
from jobs.operations.control.targets import clear_target
from jobs.states import RunState
from jobs.targets.burn import RULES
from tests.book import Book

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "targets.md").read_text()


def test_the_class_and_the_commands_of_the_page_do_what_it_says(
    sqlite_url: str, make_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_classes", {})  # Other tests have jobs of the same names.
    app: App = make_app(sqlite_url)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(compile(code, "docs/targets.md", "exec"), {"__name__": "targets_page"})
    with app.database.write() as connection:
        publish_kinds(connection, published_kinds(1000))
    registry.forget("SendInvoice")

    def said(line: str) -> str:
        monkeypatch.setenv("JOBS_DATABASE_URL", sqlite_url)
        done: Any = CliRunner().invoke(cli, shlex.split(line.removeprefix("$ "))[1:])
        assert done.exit_code == 0, f"{line}: {done.output}"
        return str(done.output)

    book = Book(app.database, now=app.clock.now())
    for state in (RunState.DEAD, RunState.DEAD, RunState.SUCCEEDED):
        held = book.enqueue(kind="SendInvoice", queue="mail")
        (claim,) = book.claim(held, kinds=["SendInvoice"])
        book.change(claim.run_id, token=None, lease_until=None, state=state.value, finished_at=book.now,
                    state_at=book.now, cause="gave_up" if state is RunState.DEAD else None)  # fmt: skip
    assert "99.5% of the runs succeed" in said("jobledger kinds show SendInvoice")
    (commands,) = re.findall(r"```console\n(.*?)```", PAGE, flags=re.DOTALL)
    first, *others = commands.splitlines()

    assert said(first) == "The target of queue mail: a ready run waits 30s at most, 99.5% of the runs succeed.\n"
    assert "burns at 133.3 times its rate: 2 of 3 runs died in 1h; 99.5% is the target" in said("jobledger status")
    assert "warning: The error budget of the queue mail burns" in said("jobledger check")
    shown = json.loads(said("jobledger queues show mail -o json"))["data"]["target"]
    assert (shown["success"], shown["budget"]["burning"], shown["is_set"]) == (0.995, "fast", True)
    told = [said(line) for line in others]
    assert "99.9% of the runs succeed" in told[0]
    assert "Now: a ready run waits 5m at most." in told[1]
    assert clear_target(app, Operator("ada"), "SendInvoice", what="kind").success == 0.999


def test_the_tables_of_the_page_are_those_of_the_code() -> None:
    exported = {metric.name: metric.labels for metric in LEDGER}
    named = re.findall(r"`(jobs_\w+)\{([a-z,]+)\}`", PAGE)
    rules = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| (\d+ \w+) \| (\d+ \w+) \|", PAGE, flags=re.MULTILINE)

    assert len(named) == 8
    assert all(exported[name] == tuple(labels.split(",")) for name, labels in named)

    def short(span: str) -> str:
        number, unit = span.split()
        return number + unit[0]

    found = [(name, float(rate), short(long), short(after)) for name, rate, long, after in rules]
    assert found == [(one.name, one.rate, one.long, one.short) for one in RULES]
