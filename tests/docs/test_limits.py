"""docs/limits.md: its classes are made, its limits hold, and its commands do what the page says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from admin_cli.main import cli
from jobs.app import App
from jobs.definition import registry
from jobs.definition.limits import limited_kinds, limits_of
from jobs.ledger.limits.counts import declare
from tests.book import Book

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "limits.md").read_text()
KINDS = ("Charge", "Refund")


@pytest.fixture(autouse=True)
def classes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_classes", {})  # Other tests have jobs of the same names.
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(compile(code, "docs/limits.md", "exec"), {"__name__": "limits_page"})
    yield
    for kind in KINDS:
        registry.forget(kind)
        limited_kinds.pop(kind, None)


def test_the_jobs_of_the_page_perform_two_at_a_time_and_its_commands_change_that(
    app: App, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBS_DATABASE_URL", ledger_url)
    book = Book(app.database, now=app.clock.now())
    with app.database.write() as connection:
        declare(connection, limits_of(KINDS))
    runs = [book.enqueue(kind="Charge", arguments={"account": "eu-17"}) for _ in range(4)]
    assert len(book.claim_due(kinds=KINDS)) == 2
    said: dict[str, str] = {}

    (commands,) = re.findall(r"```console\n(.*?)```", PAGE, flags=re.DOTALL)
    for line in commands.splitlines():
        done: Any = CliRunner().invoke(cli, shlex.split(line.removeprefix("$ "))[1:])
        assert done.exit_code == 0, f"{line}: {done.output}"
        said[line.split()[3]] = done.output

    assert [line.split()[0] for line in said["list"].splitlines()[-2:]] == ["Charge", "stripe"]
    assert "eu-17" in said["show"]
    assert [book.run(one).hold for one in runs[2:]] == ["parked", "parked"]
