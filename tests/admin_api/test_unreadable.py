"""K.6: with any value in a row, lists, pages, the API, the command line and metrics still show all rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Table, text
from sqlalchemy.exc import DBAPIError
from starlette.testclient import TestClient

from admin_cli.main import run as command
from jobs import boot
from jobs.app import App
from jobs.database.models import Base
from jobs.observe.gauges.ledger_metrics import LedgerMetrics
from jobs.operations.access import sign_in as signing
from jobs.operations.access.users import create_user
from jobs.operations.audit.operator import Operator
from tests.admin_api.route_table import routes_of
from tests.admin_cli import world
from tests.conftest import MakeApp

HOSTILE: dict[str, list[Any]] = {
    "postgresql": ["infinity", "-infinity", "0044-03-15 12:00:00+00 BC", 2147483647, "x"],
    "sqlite": ["2026-01-01T00:00:00Z", "never", "", b"\xff\x00", 2**63 - 1, -1, 1.5, "x"],
}
PAGES = ("/", "/runs", "/dead-letters", "/errors", "/schedules", "/queues", "/limits", "/limits/Charge",
         "/breakers/Charge", "/kinds", "/workers", "/audit", "/health", "/targets", "/forecasts",
         "/stored")  # fmt: skip
COMMANDS = ("list", "status", "dlq list", "dlq groups", "queues list", "kinds list", "workers list", "schedules list",
            "audit list", "users list")  # fmt: skip


@pytest.fixture(params=["sqlite_url", "pg_database"])
def app(request: pytest.FixtureRequest, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> App:
    made = make_app(request.getfixturevalue(request.param))
    monkeypatch.setattr(boot, "_app", made)
    monkeypatch.setenv("JOBS_DATABASE_URL", made.settings.database_url or "")
    return made


def spoil(app: App, table: Table, column: str, value: Any) -> int:
    """Write a value into one row without such a value yet; returns how many rows changed."""
    keys = ", ".join(one.name for one in table.primary_key)
    if app.database.dialect == "sqlite":
        statement = f"update {table.name} set {column} = :value where rowid = (select max(rowid) from {table.name})"
    else:
        shown = "cast(:value as timestamptz)" if table.c[column].type.python_type.__name__ == "datetime" else ":value"
        statement = f"update {table.name} set {column} = {shown} where ctid = (select max(ctid) from {table.name})"
    assert keys
    try:
        with app.database.engine.begin() as connection:
            return connection.execute(text(statement), {"value": value}).rowcount
    except DBAPIError:
        return 0  # The ledger itself refuses it: a CHECK, a key, a type.


@pytest.fixture
def spoiled(app: App) -> App:
    world.build(app)
    create_user(app, Operator("ada"), "ada", role="admin", password="a long enough password")
    return app


def readers(
    app: App, client: TestClient, capsys: pytest.CaptureFixture[str]
) -> Iterator[tuple[str, Callable[[], str]]]:
    """Everything that reads the ledger, by name: each returns its problem, or nothing."""

    def asks(path: str) -> Callable[[], str]:
        def ask() -> str:
            answer = client.get(path)
            return "" if answer.status_code < 500 else f"{answer.status_code} {answer.text[:300]}"

        return ask

    def runs(line: str) -> Callable[[], str]:
        def run() -> str:
            code = command(line.split())
            said = capsys.readouterr()
            return "" if code == 0 else f"exit {code}: {said.err[-600:]}"

        return run

    for path in sorted({one.path for one in routes_of(app) if one.method == "GET"} | set(PAGES)):
        yield path, asks(path)
    for form in ("", " -o json", " -o tsv"):
        for line in COMMANDS:
            yield line + form, runs(line + form)


def test_an_unreadable_value_hides_no_row(spoiled, make_client, capsys):
    # K.6
    client = make_client(over=spoiled)
    opened = signing.sign_in(spoiled, "ada", "a long enough password", kind="page")
    client.cookies.set("jobledger-session", opened.secret)
    for value in HOSTILE[spoiled.database.dialect]:
        changed = 0
        for table in Base.metadata.tables.values():
            if table.name in ("operator_users", "operator_tokens", "operator_sessions"):
                continue
            for column in table.c:
                changed += spoil(spoiled, table, column.name, value)
        assert changed
        wrong = {name: said for name, read in readers(spoiled, client, capsys) if (said := read())}
        assert wrong == {}, (value, wrong)
        assert b"jobs_ledger_up 1" in LedgerMetrics(spoiled).page()
