"""The connection of a thread that repeats a few statements (R.4)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest
from sqlalchemy import Text, bindparam, cast, literal_column, select, text

from jobs.app import App
from jobs.database.direct_statements import DirectStatement
from jobs.database.own_connection import FOR_SETTLING, OwnConnection
from jobs.errors import LedgerRefused, ServiceDown
from jobs.ledger.admission.insert import insert_runs
from jobs.ledger.runs.claim import claim_direct
from tests.book import LEASE, new_run
from tests.conftest import MakeApp
from tests.jobs.database.own_connections import ASK
from tests.jobs.database.own_connections import app as app
from tests.jobs.database.own_connections import own as own
from tests.round_trips import count_round_trips

PLANS = "select generic_plans, custom_plans from pg_prepared_statements where statement like 'select count%%'"


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


def test_a_connection_that_the_server_ended_is_opened_again_without_an_error(app: App, own: OwnConnection) -> None:
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


@pytest.fixture
def listening(app: App) -> Iterator[OwnConnection]:
    own = app.database.own_connection(listens=True)
    assert own is not None
    with closing(own):
        assert own.wait_for_notify(0)  # A new connection may have missed one.
        assert not own.wait_for_notify(0)
        yield own


def notify(app: App) -> None:
    with app.database.write() as connection:
        app.database.send_notify(connection)


def test_one_connection_hears_of_a_run_and_is_used_for_statements(app: App, listening: OwnConnection) -> None:
    before = pid(listening)

    notify(app)

    assert listening.wait_for_notify(60)
    assert not listening.wait_for_notify(0)
    assert pid(listening) == before


def test_a_notification_before_or_within_a_statement_is_heard_after_it(app: App, listening: OwnConnection) -> None:
    before = pid(listening)
    notify(app)
    time.sleep(0.2)  # It waits on the connection.

    assert pid(listening) == before
    assert listening.wait_for_notify(60)
    with listening.opened() as direct:
        threading.Timer(0.1, notify, [app]).start()
        direct.run("select pg_sleep(0.5)", {})
    assert listening.wait_for_notify(60)
    assert not listening.wait_for_notify(0)


def test_many_notifications_within_a_statement_are_reported_once_and_not_kept(
    app: App, listening: OwnConnection
) -> None:
    with app.database.direct() as others, listening.opened() as direct:
        for _ in range(20):
            others.run("select pg_notify('jobs_ready', '')", {})
            direct.run("select 1", {})
    reported = 0

    # The last one may come after the first report.
    while listening.wait_for_notify(0.2):
        reported += 1

    assert 1 <= reported <= 2


@pytest.mark.parametrize("has_waiting", [False, True])
def test_a_listening_connection_that_was_ended_is_opened_again_and_may_have_missed_one(
    app: App, listening: OwnConnection, has_waiting: bool
) -> None:
    before = pid(listening)
    if has_waiting:
        notify(app)
        time.sleep(0.2)
    with app.database.read() as others:
        others.execute(select(text(f"pg_terminate_backend({before}, 5000)"))).all()

    assert pid(listening) != before
    assert listening.wait_for_notify(0)
    notify(app)
    assert listening.wait_for_notify(60)


def test_settling_is_planned_once_and_by_no_nested_loop(app: App) -> None:
    own = app.database.own_connection(without=FOR_SETTLING)
    assert own is not None
    with closing(own), own.opened() as direct:
        assert direct.run("show enable_nestloop", {}) == [("off",)]
        assert direct.run("show enable_hashjoin", {}) == [("on",)]
        assert direct.run("show plan_cache_mode", {}) == [("force_generic_plan",)]


def test_sqlite_has_none(sqlite_url: str, make_app: MakeApp) -> None:
    assert make_app(sqlite_url).database.own_connection() is None


def test_the_limits_of_the_settings_hold(pg_database: str, make_app: MakeApp) -> None:
    app = make_app(pg_database, statement_timeout=0.2)
    own = app.database.own_connection()
    assert own is not None
    down = pytest.raises(ServiceDown, match="statement timeout")
    with closing(own), down, app.database.translated(), own.opened() as direct:
        direct.run("select pg_sleep(5)", {})


def test_moments_are_read_as_utc_whatever_the_zone_of_the_connection(app: App, own: OwnConnection) -> None:
    run = new_run()
    with app.database.write() as connection:
        insert_runs(connection, [run])
    with own.opened() as direct:
        direct.run("set timezone to 'Asia/Tokyo'", {})

        (held,) = claim_direct(direct, [run.id], kinds=["Mail"], worker="w", lease=LEASE)

    assert {one.tzinfo for one in held if isinstance(one, datetime)} == {UTC}


LONG = DirectStatement(
    lambda dialect: select(
        cast(bindparam("second", type_=Text()), Text).concat(cast(bindparam("first", type_=Text()), Text)),
        literal_column("'50%'"),
        *[cast(bindparam("second", type_=Text()), Text).label(f"again_{n:03}_{'x' * 40}") for n in range(60)],
        bindparam("none", type_=Text()).is_(None),
    )
)


def test_a_long_statement_gets_its_values_as_by_the_pool_also_in_a_pipeline(app: App, own: OwnConnection) -> None:
    given = {"first": "%(second)s $1", "second": "ä", "none": None}
    with app.database.direct() as direct:
        expected = LONG.run(direct, given)

    with own.opened() as direct:
        assert LONG.run(direct, given) == expected
    with own.transaction() as direct:
        sent = LONG.send(direct, given), LONG.send(direct, given)
        assert [read() for read in sent] == [expected, expected]

    assert expected == [("ä%(second)s $1", "50%", *["ä"] * 60, True)]
