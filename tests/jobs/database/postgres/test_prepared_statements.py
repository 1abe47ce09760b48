"""Statements with binary parameters on a connection of others."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from jobs.database.binary_values import read_moment
from jobs.database.postgres.prepared_statements import execute_once

ASK = "select $1::varchar"


@pytest.fixture
def theirs(pg_database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(pg_database.replace("+psycopg", "")) as connection:
        yield connection


def answer(connection: psycopg.Connection) -> bytes | None:
    found = execute_once(connection, ASK, ["50% of $1 é".encode()])
    return found and found.get_value(0, 0)


def test_the_driver_begins_the_transaction_and_runs_what_is_in_a_pipeline(theirs: psycopg.Connection) -> None:
    assert answer(theirs) is None

    theirs.execute("select 1")
    assert answer(theirs) == "50% of $1 é".encode()
    with theirs.pipeline():
        assert answer(theirs) is None

    theirs.rollback()
    theirs.autocommit = True
    assert answer(theirs) == "50% of $1 é".encode()


def test_an_error_is_the_drivers_own(theirs: psycopg.Connection) -> None:
    theirs.autocommit = True
    with pytest.raises(psycopg.errors.DivisionByZero):
        execute_once(theirs, "select 1 / $1::integer", [bytes(4)])

    assert answer(theirs)
    theirs.close()
    with pytest.raises(psycopg.OperationalError):
        answer(theirs)


def test_a_moment_is_read_to_the_microsecond(theirs: psycopg.Connection) -> None:
    moments = "('1999-12-31 23:59:59.999999+00'::timestamptz), ('9999-12-31 01:02:03.000001+00')"
    asked = f"select it from (values {moments}) as given(it)"
    expected = [moment for (moment,) in theirs.execute(asked).fetchall()]

    found = execute_once(theirs, asked, [])

    assert found is not None
    assert [read_moment(found.get_value(row, 0) or b"") for row in range(2)] == expected
