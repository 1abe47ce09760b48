"""Inserting over a connection that prepares nothing: by the function of PostgreSQL, or by a statement."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from jobs.app import App
from jobs.database.models import JobRun
from jobs.database.sql import pinned_now
from jobs.ledger.admission.insert_dated import (
    FUNCTION,
    TYPES,
    can_call,
    forget_function,
    has_function,
    insert_dated,
)
from jobs.ledger.records import NewRun
from jobs.migration import schema
from tests.book import new_run
from tests.conftest import MakeApp

SIGNATURE = f"{FUNCTION}({TYPES})"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def app(pg_database: str, make_app: MakeApp) -> App:
    return make_app(pg_database)


def rows(app: App, *run_ids: UUID) -> list[dict[str, Any]]:
    """The rows, in that order, without their ids."""
    with app.database.read() as connection:
        found = {row["id"]: dict(row) for row in connection.execute(select(JobRun.__table__)).mappings()}
    return [{name: value for name, value in found[one].items() if name != "id"} for one in run_ids]


def made_by_the_migration(table: str) -> str:
    """The text that makes the function for this table."""
    path = schema.MIGRATIONS / "versions" / "1_0040_insert_function.py"
    spec = spec_from_file_location("insert_function", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    text: str = module.INSERT.replace("{table}", table)
    return text


def two_alike(**given: Any) -> tuple[NewRun, NewRun]:
    return new_run(**given), new_run(**given)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {
            "arguments": {"b": [1, 2.0, None, "é\u2028'"], "a": {"x": 1e308}},
            "priority": -7,
            "arguments_version": 4,
            "correlation_id": "abc",
            "enqueued_by": "host/1",
            "parent_id": uuid4(),
            "root_id": uuid4(),
        },
        {"delay_seconds": 90.5, "tags": '["red"]'},
    ],
    ids=["plain", "usual values", "unusual values"],
)
def test_the_function_inserts_what_the_statement_inserts(app: App, given: dict[str, Any]) -> None:
    by_function, by_statement = two_alike(**given)

    with pinned_now(lambda: NOW), app.database.direct() as connection:
        moments = [
            insert_dated(connection, by_function, notify=True, by_function=True),
            insert_dated(connection, by_statement, notify=True),
        ]

    one, other = rows(app, by_function.id, by_statement.id)
    assert moments == [NOW, NOW]
    assert one == other
    assert one["state"] == "queued"


def test_it_notifies_workers_only_if_they_listen(app: App) -> None:
    listener = app.database.listener()
    assert listener is not None
    assert listener.wait_for_notify(0), "its connection is new"

    for notify in (False, True):
        with app.database.direct() as connection:
            insert_dated(connection, new_run(), notify=notify, by_function=True)
        assert listener.wait_for_notify(10.0 if notify else 0) is notify
    listener.close()


def test_the_ledger_has_it_until_a_migration_drops_it(app: App) -> None:
    assert has_function(app.database)

    with app.database.write() as connection:
        connection.exec_driver_sql(f"drop function {SIGNATURE}")

    assert has_function(app.database), "it is looked up once"
    forget_function(app.database)
    assert not has_function(app.database)


def test_a_role_that_may_not_call_it_uses_the_statement(app: App) -> None:
    with app.database.engine.connect() as connection:
        connection.exec_driver_sql(f"revoke execute on function {SIGNATURE} from public")
        connection.exec_driver_sql("set local role pg_monitor")

        assert not can_call(connection, None)
        connection.rollback()


def test_in_a_schema_of_its_own_it_writes_there_whatever_the_search_path(
    app: App, pg_database: str, make_app: MakeApp
) -> None:
    name = "Our: schéma"
    with app.database.write() as connection:
        connection.exec_driver_sql(f'create schema "{name}"')
        connection.exec_driver_sql(f'create table "{name}".job_runs (like job_runs including all)')
        made = made_by_the_migration(f'"{name}".job_runs')
        connection.exec_driver_sql(made.replace("function jobs_insert_run(", f'function "{name}".jobs_insert_run(', 1))
    placed = make_app(pg_database, database_schema=name)
    run = new_run()

    assert has_function(placed.database)
    with placed.database.direct() as connection:
        insert_dated(connection, run, notify=False, by_function=True)

    with app.database.read() as connection:
        assert connection.exec_driver_sql(f'select id from "{name}".job_runs').scalar_one() == run.id
        assert connection.exec_driver_sql("select count(*) from job_runs").scalar_one() == 0


def test_one_that_finds_its_table_by_the_search_path_is_none_for_a_named_schema(
    app: App, pg_database: str, make_app: MakeApp
) -> None:
    assert not has_function(make_app(pg_database, database_schema="public").database)
