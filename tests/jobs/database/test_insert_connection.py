"""The connection that the callers of one process share to insert runs (R.1)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import String, bindparam, func, literal_column, select, text

from jobs.app import App
from jobs.clock import new_run_id
from jobs.database.direct_statements import DirectConnection, DirectStatement
from jobs.database.engine import Database
from jobs.database.models import JobRun
from jobs.database.sql import pinned_now
from jobs.errors import LedgerRefused, ServiceDown
from jobs.ledger.admission.insert import insert_if_free, insert_plain, insert_runs
from jobs.settings import Settings
from tests.book import START, new_run
from tests.conftest import MakeApp
from tests.faults.proxy import FaultyProxy
from tests.jobs.database.postgres.test_connection import ends_within
from tests.jobs.ledger.admission.test_copy_in import EVERYTHING, rows

PREPARED = "select generic_plans, custom_plans from pg_prepared_statements"


@pytest.fixture
def app(pg_database: str, make_app: MakeApp) -> App:
    return make_app(pg_database)


def insert(app: App, **terms: object) -> None:
    with app.database.inserts.opened() as connection:
        insert_plain(connection, [new_run(**terms)], notify=True)


def backend(connection: DirectConnection) -> int:
    return int(connection.run("select pg_backend_pid()", {})[0][0])


def count(app: App) -> int:
    with app.database.read() as connection:
        return connection.scalar(select(func.count()).select_from(JobRun)) or 0


def test_a_statement_is_planned_once_however_many_runs_it_inserts(app: App) -> None:
    for _ in range(9):
        insert(app)

    with app.database.inserts.opened() as connection:
        plans = connection.run(PREPARED, {})
    assert (9, 0) in plans
    assert all(custom == 0 for _, custom in plans)


def test_its_rows_are_those_of_an_insert_by_the_driver(app: App) -> None:
    ids = [new_run_id() for _ in EVERYTHING]
    runs = [new_run(**terms, id=one) for one, terms in zip(ids, EVERYTHING, strict=True)]
    with app.database.write() as connection:
        insert_runs(connection, runs, now=START)
    by_driver = rows(app.database)
    with app.database.write() as connection:
        connection.execute(text("truncate job_runs cascade"))

    with pinned_now(lambda: START):
        for run in runs:
            with app.database.inserts.opened() as connection:
                insert_plain(connection, [run], notify=False)

    assert rows(app.database) == by_driver
    with app.database.write() as connection:
        connection.execute(text("truncate job_runs cascade"))
    with pinned_now(lambda: START), app.database.inserts.opened() as connection:
        insert_plain(connection, runs, notify=False)
    assert rows(app.database) == by_driver


@pytest.mark.parametrize(
    "bad",
    [{"priority": 1001}, {"enqueued_by": "x" * 201}, {"correlation_id": "\0"}, {"arguments_version": 2**31}],
    ids=str,
)
def test_a_row_that_the_ledger_refuses_is_refused_and_the_next_one_is_inserted(
    app: App, bad: dict[str, object]
) -> None:
    with pytest.raises(LedgerRefused):
        insert(app, **bad)

    insert(app)

    assert count(app) == 1


def test_a_held_key_inserts_nothing(app: App) -> None:
    with app.database.inserts.opened() as connection:
        found = [insert_if_free(connection, new_run(key="one"), notify=True) for _ in range(2)]

    assert found == [True, False]


def test_who_finds_it_in_use_gets_a_connection_of_the_pool(app: App) -> None:
    with app.database.inserts.opened() as mine, app.database.inserts.opened() as other:
        assert backend(mine) != backend(other)
        insert_plain(other, [new_run()], notify=True)
    assert count(app) == 1


def test_one_that_is_closed_while_it_is_in_use_is_closed_after_that_and_opened_again(app: App) -> None:
    asked = "select count(*) from pg_stat_activity where pid = %(pid)s"
    with ExitStack() as used:
        connection = used.enter_context(app.database.inserts.opened())
        first = backend(connection)
        app.database.inserts.close()
        assert connection.run("select 1", {}) == [(1,)]

    with app.database.inserts.opened() as connection:
        assert backend(connection) != first
        assert connection.run("select pg_terminate_backend(%(pid)s, 5000)", {"pid": first}) in ([(True,)], [(False,)])
        assert connection.run(asked, {"pid": first}) == [(0,)]


def test_a_connection_that_the_server_ended_is_opened_again_without_an_error(app: App) -> None:
    with app.database.inserts.opened() as connection:
        before = backend(connection)
    with app.database.read() as others:
        others.execute(select(text(f"pg_terminate_backend({before}, 5000)"))).all()

    insert(app)

    assert count(app) == 1


@pytest.fixture
def proxy(pg_database: str, app: App) -> Iterator[FaultyProxy]:
    with closing(FaultyProxy(pg_database, Random(1), chance=0.5, faults=("at once twice",))) as it:
        yield it


@pytest.fixture
def behind(proxy: FaultyProxy) -> Iterator[Database]:
    with closing(Database(proxy.url, Settings(database_url=proxy.url, statement_timeout=timedelta(seconds=1)))) as it:
        yield it


def test_an_insert_that_is_never_answered_ends(app: App, proxy: FaultyProxy, behind: Database) -> None:
    def insert_one() -> None:
        with behind.inserts.opened() as connection:
            insert_plain(connection, [new_run()], notify=True)

    insert_one()
    proxy.forget()

    error = ends_within(60, insert_one)

    assert isinstance(error, ServiceDown)
    assert "no answer within" in str(error)
    insert_one()
    assert count(app) >= 2


def test_answers_are_right_though_replies_arrive_twice(app: App, proxy: FaultyProxy, behind: Database) -> None:
    found: dict[int, bool] = {}
    with behind.inserts.opened() as connection:
        insert_if_free(connection, new_run(), notify=False)
    proxy.is_faulty = True
    for n in range(60):
        try:
            with behind.inserts.opened() as connection:
                found[n] = insert_if_free(connection, new_run(key=f"key {n // 3}"), notify=False)
        except ServiceDown:
            pass

    assert proxy.made["at once twice"]
    # The key of the second and third of three is held, if the first answered.
    known = {n: is_inserted for n, is_inserted in found.items() if n % 3 == 0 or n - n % 3 in found}
    assert known == {n: n % 3 == 0 for n in known}
    assert known


def test_a_large_insert_is_sent_whole(app: App) -> None:
    with app.database.inserts.opened() as connection:
        insert_plain(connection, [new_run(arguments={"text": "x" * 20_000_000})], notify=True)

    assert count(app) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_forked_child_opens_its_own_and_leaves_its_parents(app: App) -> None:
    with app.database.inserts.opened() as connection:
        before = backend(connection)
    child = os.fork()
    if not child:  # pragma: no cover
        try:
            with app.database.inserts.opened() as connection:
                insert_plain(connection, [new_run()], notify=True)
                os._exit(0 if backend(connection) != before else 2)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    with app.database.inserts.opened() as connection:
        assert backend(connection) == before
    assert count(app) == 1


@pytest.mark.parametrize("value", ["{}", "50% of %(it)s $1"])
def test_signs_of_the_driver_in_a_statement_and_its_values_stay_what_they_are(app: App, value: str) -> None:
    are_equal = bindparam("it", type_=String()) == bindparam("other", type_=String())
    statement = DirectStatement(lambda dialect: select(literal_column("'7%'")).where(are_equal, text("7 % 4 = 3")))

    with app.database.inserts.opened() as connection:
        assert statement.count(connection, {"it": value, "other": value}) == 1
        assert statement.count(connection, {"it": value, "other": "{"}) == 0
