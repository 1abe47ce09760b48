"""A connection that something between us and the server has forgotten: nobody waits for it for ever."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from datetime import timedelta
from random import Random

import psycopg
import pytest

from jobs.database.engine import Database
from jobs.database.postgres.connect import SILENCE_SECONDS
from jobs.errors import ServiceDown
from jobs.settings import Settings
from tests.faults.proxy import FaultyProxy

LIMIT = timedelta(seconds=1)


@pytest.fixture
def proxy(pg_database):
    with closing(FaultyProxy(pg_database, Random(1))) as it:
        yield it


@pytest.fixture
def database(proxy):
    with closing(Database(proxy.url, Settings(database_url=proxy.url, statement_timeout=LIMIT))) as it:
        yield it


def ends_within(seconds, do):
    """What ``do`` raised; a failure of the test if it goes on for longer."""
    raised = []

    def go():
        try:
            do()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"it still waits after {seconds:g} s"
    return raised[0] if raised else None


def test_a_statement_on_a_forgotten_connection_ends_and_the_next_has_another(database, proxy):
    with database.read() as connection:
        connection.exec_driver_sql("select 1")
    proxy.forget()

    def ask():
        with database.read() as connection:
            connection.exec_driver_sql("select 1")

    error = ends_within(LIMIT.total_seconds() + SILENCE_SECONDS + 30, ask)

    assert isinstance(error, ServiceDown)
    assert "no answer" in str(error)
    assert "\n" not in str(error)
    ask()


def test_a_commit_that_is_not_answered_ends(database, proxy):
    def write():
        with database.write() as connection:
            connection.exec_driver_sql("select 1")
            proxy.forget()

    assert isinstance(ends_within(LIMIT.total_seconds() + SILENCE_SECONDS + 30, write), ServiceDown)


def test_a_statement_within_its_limit_is_waited_for(database):
    started = time.monotonic()

    with database.read() as connection:
        assert connection.exec_driver_sql("select 7 from pg_sleep(0.4)").scalar() == 7

    assert time.monotonic() - started > 0.3


def test_the_server_s_own_limit_comes_first(database):
    with pytest.raises(ServiceDown, match="statement timeout"), database.read() as connection:
        connection.exec_driver_sql("select pg_sleep(30)")


@pytest.mark.parametrize("chance", [0.1, 1.0])
def test_reads_and_commits_are_right_though_replies_arrive_twice(pg_database, chance):
    with psycopg.connect(pg_database, autocommit=True) as direct:
        direct.execute("create table seen (n integer primary key)")
        with (
            closing(FaultyProxy(pg_database, Random(3), chance=chance, faults=("duplicate",))) as proxy,
            closing(Database(proxy.url, Settings(database_url=proxy.url, statement_timeout=LIMIT))) as database,
        ):
            with database.read() as connection:
                connection.exec_driver_sql("select 1")
            said, failed = [], 0
            proxy.is_faulty = True
            for n in range(200):
                try:
                    with database.write() as connection:
                        made = connection.exec_driver_sql("insert into seen values (%s) returning n", (n,)).scalar()
                        counted = connection.exec_driver_sql("select max(n) from seen").scalar()
                    assert (made, counted) == (n, n)
                    said.append(n)
                except ServiceDown:
                    failed += 1

        assert failed
        assert {n for (n,) in direct.execute("select n from seen")} >= set(said)
        assert len(said) > 50 or chance == 1.0
