"""The mail server and the messages to the editor, in a SQLite file, ``NEWSLETTER_OUTBOX``."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

TABLES = """
create table if not exists tried (issue int, reader int, primary key (issue, reader));
create table if not exists mailed (issue int, reader int, text text, times int, primary key (issue, reader));
create table if not exists batches (issue int, first int, times int, primary key (issue, first));
create table if not exists bounces (issue int, reader int, why text, primary key (issue, reader));
"""


class NoSuchReader(Exception):
    """The mail server does not know this reader."""


def is_missing(reader: int) -> bool:
    return reader % 13 == 0


def make() -> None:
    """Create the file and its tables."""
    with closing(sqlite3.connect(_path())) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.executescript(TABLES)


def mail(issue: int, reader: int, text: str) -> None:
    """Mail ``text``; for every fourth reader the first try fails.

    Raises:
        NoSuchReader: the reader does not exist.
        ConnectionError: the server hung up.
    """
    if is_missing(reader):
        raise NoSuchReader(f"reader {reader}")
    with _writing() as connection:
        is_first = connection.execute("insert or ignore into tried values (?, ?)", (issue, reader)).rowcount == 1
    if is_first and reader % 4 == 0:
        raise ConnectionError("the mail server hung up")
    _record("mailed", "issue, reader, text, times", (issue, reader, text, 1))


def record_batch(issue: int, first: int) -> None:
    _record("batches", "issue, first, times", (issue, first, 1))


def record_bounce(issue: int, reader: int, why: str) -> None:
    with _writing() as connection:
        connection.execute("insert or ignore into bounces values (?, ?, ?)", (issue, reader, why))


def _record(table: str, columns: str, values: tuple[object, ...]) -> None:
    """Write the row once, and count the calls."""
    marks = ", ".join("?" for _ in values)
    with _writing() as connection:
        connection.execute(
            f"insert into {table} ({columns}) values ({marks}) on conflict do update set times = times + 1", values
        )


def rows(query: str) -> list[tuple[object, ...]]:
    """The rows of a query."""
    with closing(sqlite3.connect(_path(), timeout=30)) as connection:
        return connection.execute(query).fetchall()


@contextmanager
def _writing() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(_path(), timeout=30)) as connection, connection:
        yield connection


def _path() -> str:
    return os.environ.get("NEWSLETTER_OUTBOX", "outbox.db")
