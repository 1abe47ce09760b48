"""The connection of a thread that repeats a few statements (R.4)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import select, text

from jobs.app import App
from jobs.database.own_connection import OwnConnection
from jobs.errors import LedgerRefused, ServiceDown
from tests.conftest import MakeApp
from tests.round_trips import count_round_trips

PLANS = "select generic_plans, custom_plans from pg_prepared_statements where statement like 'select count%%'"
ASK = "select count(*) from job_runs where queue = %(queue)s"


@pytest.fixture
def app(pg_database: str, make_app: MakeApp) -> App:
    return make_app(pg_database)


@pytest.fixture
def own(app: App) -> Iterator[OwnConnection]:
    own = app.database.own_connection()
    assert own is not None
    with closing(own):
        yield own


def pid(own: OwnConnection) -> int:
    with own.opened() as direct:
        return int(direct.run("select pg_backend_pid()", {})[0][0])


def test_a_statement_is_planned_once_and_takes_one_round_trip(
    own: OwnConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own.opened() as direct:
        direct.run(ASK, {"queue": "mail"})
    trips = count_round_trips(monkeypatch)

    for _ in range(9):
        with own.opened() as direct:
            direct.run(ASK, {"queue": "mail"})

    assert len(trips) == 9
    with own.opened() as direct:
        assert direct.run(PLANS, {}) == [(10, 0)]


def test_it_commits_each_statement(app: App, own: OwnConnection) -> None:
    with own.opened() as direct:
        direct.run("insert into job_queues (name) values ('mail')", {})

        with app.database.read() as others:
            assert others.scalar(text("select name from job_queues")) == "mail"


def test_what_the_server_ended_meanwhile_is_opened_again_unnoticed(app: App, own: OwnConnection) -> None:
    before = pid(own)
    with app.database.read() as others:
        others.execute(select(text(f"pg_terminate_backend({before}, 5000)"))).all()

    assert pid(own) != before


def test_after_an_error_the_next_use_has_a_sound_connection(app: App, own: OwnConnection) -> None:
    before = pid(own)
    with pytest.raises(LedgerRefused), app.database.translated(), own.opened() as direct:
        direct.run("select 1 / 0", {})

    assert pid(own) != before


def test_a_connection_that_dies_within_a_statement_is_the_ledger_that_is_down(app: App, own: OwnConnection) -> None:
    with pytest.raises(ServiceDown), app.database.translated(), own.opened() as direct:
        direct.run("select pg_terminate_backend(pg_backend_pid(), 5000)", {})

    assert pid(own)


def test_an_interrupt_within_its_use_closes_it(own: OwnConnection) -> None:
    before = pid(own)
    with pytest.raises(KeyboardInterrupt), own.opened():
        raise KeyboardInterrupt

    assert pid(own) != before


def test_behind_pgbouncer_nothing_is_left_on_the_connection(pg_database: str, make_app: MakeApp) -> None:
    own = make_app(pg_database, pgbouncer=True).database.own_connection()
    assert own is not None
    with closing(own), own.opened() as direct:
        for _ in range(9):
            direct.run(ASK, {"queue": "mail"})

        assert direct.run("select count(*) from pg_prepared_statements", {}) == [(0,)]
        assert direct.run("show plan_cache_mode", {}) == [("auto",)]


def test_sqlite_has_none(sqlite_url: str, make_app: MakeApp) -> None:
    assert make_app(sqlite_url).database.own_connection() is None


def test_the_limits_of_the_settings_hold(pg_database: str, make_app: MakeApp) -> None:
    app = make_app(pg_database, statement_timeout=0.2)
    own = app.database.own_connection()
    assert own is not None
    down = pytest.raises(ServiceDown, match="statement timeout")
    with closing(own), down, app.database.translated(), own.opened() as direct:
        direct.run("select pg_sleep(5)", {})
