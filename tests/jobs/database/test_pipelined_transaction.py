"""Transactions of several statements on the connection of a thread, in pipeline mode."""

from __future__ import annotations

from contextlib import closing

import pytest
from sqlalchemy import insert, literal_column, select, text

from jobs.app import App
from jobs.database import own_connection
from jobs.database.direct_statements import DirectConnection, DirectStatement
from jobs.database.models import JobQueue
from jobs.database.own_connection import OwnConnection
from jobs.errors import LedgerRefused, ServiceDown
from tests.jobs.database.own_connections import ASK
from tests.jobs.database.own_connections import app as app
from tests.jobs.database.own_connections import own as own
from tests.round_trips import count_round_trips

ADD = DirectStatement(
    lambda dialect: insert(JobQueue).from_select(["name"], select(literal_column("'mail'")), include_defaults=False)
    .returning(JobQueue.name)
)  # fmt: skip


def works(own: OwnConnection) -> bool:
    with own.opened() as direct:
        return direct.run("select true", {}) == [(True,)]


def test_what_is_sent_in_a_transaction_is_read_later_and_committed_unread(app: App, own: OwnConnection) -> None:
    look = DirectStatement(lambda dialect: select(literal_column("count(*)").label("n")).select_from(JobQueue))

    with own.transaction() as direct:
        before = look.send(direct, {})
        ADD.send(direct, {})
        after = look.send(direct, {})
        assert (after(), before()) == ([(1,)], [(0,)])
        with app.database.read() as others:
            assert others.scalar(text("select count(*) from job_queues")) == 0

    with app.database.read() as others:
        assert others.scalar(text("select name from job_queues")) == "mail"
    with own.opened() as direct:
        assert look.run(direct, {}) == [(1,)]


def test_begin_and_commit_of_a_transaction_wait_for_no_answers_of_their_own(
    own: OwnConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own.opened():
        trips = count_round_trips(monkeypatch)

    with own.transaction() as direct:
        direct.run(ASK, {"queue": "mail"})
        ADD.send(direct, {})

    # To send a statement is no round trip.
    assert [one for one in trips if one != "_execute_gen"] == ["_sync_gen", "_exit_gen"]


def test_an_exception_within_a_transaction_undoes_it(app: App, own: OwnConnection) -> None:
    def fail_after_writes(direct: DirectConnection) -> None:
        ADD.rows(direct, {})
        direct.run("insert into job_kinds (name) values ('Mail')", {})
        raise KeyError

    with pytest.raises(KeyError), own.transaction() as direct:
        fail_after_writes(direct)

    with app.database.write() as others:
        # It waits until the server has noticed the end of the connection.
        others.execute(text("insert into job_queues (name) values ('mail')"))
    assert works(own)


def test_an_error_of_a_statement_that_was_sent_and_not_read_undoes_the_transaction(
    app: App, own: OwnConnection
) -> None:
    wrong = DirectStatement(lambda dialect: select(literal_column("1 / 0")))

    def send_both(direct: DirectConnection) -> None:
        ADD.send(direct, {})
        wrong.send(direct, {})

    with pytest.raises(LedgerRefused), app.database.translated(), own.transaction() as direct:
        send_both(direct)

    with app.database.read() as others:
        assert others.scalar(text("select count(*) from job_queues")) == 0
    assert works(own)


def test_a_process_that_stops_within_a_transaction_keeps_its_locks_for_a_short_time(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_connection, "IDLE_SECONDS", 0.2)
    own = app.database.own_connection()
    assert own is not None

    def stop_within(direct: DirectConnection) -> None:
        ADD.rows(direct, {})
        with app.database.write() as others:
            # It waits until the server has undone the transaction.
            others.execute(text("insert into job_queues (name) values ('mail')"))
        direct.run(ASK, {"queue": "mail"})

    with closing(own):
        with pytest.raises(ServiceDown), app.database.translated(), own.transaction() as direct:
            stop_within(direct)
        assert works(own)
