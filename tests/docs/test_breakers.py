"""docs/breakers.md: its classes are made, its breaker opens, and its commands do what the page says."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from admin_cli.main import cli
from jobs.app import App
from jobs.definition import registry
from jobs.definition.breakers import breakers_of, guarded_kinds
from jobs.definition.fairness import fair_kinds
from jobs.ledger.breakers.slices import declare
from jobs.ledger.records import Failure
from jobs.states import Outcome
from tests.book import Book, attempt_result

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "breakers.md").read_text()
KINDS = ("Pay", "Report")


@pytest.fixture(autouse=True)
def classes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_classes", {})  # Other tests have jobs of the same names.
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(compile(code, "docs/breakers.md", "exec", dont_inherit=True), {"__name__": "breakers_page"})
    yield
    for kind in KINDS:
        registry.forget(kind)
        guarded_kinds.pop(kind, None)
        fair_kinds.pop(kind, None)


def test_the_breaker_of_the_page_opens_and_its_commands_release_it(
    app: App, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBS_DATABASE_URL", ledger_url)
    book = Book(app.database, now=app.clock.now())
    with app.database.write() as connection:
        declare(connection, breakers_of(KINDS))
    down = Failure("ConnectionError", "refused", None, "0123456789ab")
    for _ in range(33):
        book.enqueue(kind="Pay", arguments={"provider": "acme-bank"})
    claims = book.claim_due(20, kinds=KINDS)
    book.settle(*[attempt_result(one, Outcome.FAILED, failure=down, delay=3600) for one in claims])
    assert book.claim_due(20, kinds=KINDS) == []

    (commands,) = re.findall(r"```console\n(.*?)```", PAGE, flags=re.DOTALL)
    said = []
    for line in commands.splitlines():
        done: Any = CliRunner().invoke(cli, shlex.split(line.removeprefix("$ "))[1:])
        assert done.exit_code == 0, f"{line}: {done.output}"
        said.append(done.output)

    assert "1 open" in said[0]
    assert "acme-bank" in said[1]
    assert "10 runs are ready" in said[2]
    book.now = app.clock.now()
    assert len(book.claim_due(20, kinds=KINDS)) == 13


def test_the_tenants_of_the_page_take_turns_by_weight(app: App) -> None:
    book = Book(app.database)
    for tenant in ("acme", "umbrella"):
        for _ in range(20):
            book.enqueue(kind="Report", arguments={"tenant": tenant})

    started: Counter[str] = Counter()
    for _ in range(4):
        started.update("acme" if "acme" in one.arguments else "umbrella" for one in book.claim_due(4, kinds=KINDS))

    assert 10 <= started["acme"] <= 12
