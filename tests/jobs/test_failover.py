"""A server that turned read only while its sockets stay open is left for the one that its name leads to. K.19"""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest
from sqlalchemy import text

from jobs.database.engine import Database
from jobs.database.postgres import driver
from jobs.errors import ServiceDown
from jobs.settings import Settings

SWITCH = "set session characteristics as transaction read only"
WRITE = text("delete from job_runs")


@pytest.fixture
def database(pg_database):
    made = Database(pg_database, Settings())
    yield made
    made.close()


def pid(connection) -> int:
    number: int = connection.exec_driver_sql("select pg_backend_pid()").scalar()
    return number


def switched(database: Database, count: int) -> set[int]:
    """Make ``count`` pooled connections lead to what is read only; new ones do not. Their processes."""
    held = [database.engine.connect() for _ in range(count)]
    found = set()
    for connection in held:
        with connection.begin():
            connection.exec_driver_sql(SWITCH)
            found.add(pid(connection))
    for connection in held:
        connection.close()
    return found


@pytest.mark.parametrize("alone", [False, True])
def test_one_refusal_drops_every_connection_to_the_old_server(database, alone):
    old = switched(database, 3)

    with pytest.raises(ServiceDown, match="read only"), database.write(alone=alone) as connection:
        connection.execute(WRITE)

    for _ in range(3):
        with database.write(alone=alone) as connection:
            connection.execute(WRITE)
            assert pid(connection) not in old


def test_a_job_s_own_session_drops_them_too(database):
    old = switched(database, 2)

    with pytest.raises(Exception, match="read-only"), database.session() as session:
        session.execute(WRITE)

    with database.session() as session:
        session.execute(WRITE)
        assert pid(session.connection()) not in old


def test_a_listening_connection_moves_too(database):
    with closing(database.listener()) as listener:
        assert listener.wait_for_notify(0)
        assert not listener.wait_for_notify(0)
        before = listener._connection.info.backend_pid
        switched(database, 1)

        with pytest.raises(ServiceDown), database.write() as connection:
            connection.execute(WRITE)

        assert listener.wait_for_notify(0)
        assert listener._connection.info.backend_pid != before


def test_health_asks_whether_the_server_takes_writes_and_leaves_one_that_does_not(database):
    database.refuse_read_only()
    switched(database, 2)

    with pytest.raises(ServiceDown, match="read only"):
        database.refuse_read_only()

    database.refuse_read_only()


@pytest.mark.parametrize(
    ("error", "worthless"),
    [
        (psycopg.errors.ReadOnlySqlTransaction(), True),
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.CrashShutdown(), True),
        (psycopg.errors.CannotConnectNow(), True),
        (psycopg.errors.ConnectionFailure(), True),
        (psycopg.errors.ProtocolViolation(), True),
        (psycopg.errors.UniqueViolation(), False),
        (psycopg.errors.QueryCanceled(), False),
        (psycopg.errors.DiskFull(), False),
        (psycopg.OperationalError(), False),
        (ValueError(), False),
        (None, False),
    ],
)
def test_only_errors_of_the_connection_cost_it(error, worthless):
    assert driver.is_unusable(error) is worthless
