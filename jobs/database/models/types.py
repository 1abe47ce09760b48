"""Column types of the tables: moments, JSON, and the predicates of partial indexes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic_core import from_json
from sqlalchemy import (
    JSON,
    Boolean,
    DateTime,
    Dialect,
    Integer,
    SmallInteger,
    String,
    Text,
    Uuid,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from jobs.formats.unreadable import stand_in_for_id, stand_in_for_moment, stand_in_for_number, stand_in_for_text

MAX_QUICK = 4000
"""Shorter JSON is read by the faster parser: no number in it is too long for Python to write again."""


def write_moment(moment: datetime) -> str:
    """A moment as SQLite stores it: UTC, of fixed width, so that text sorts as time does."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def _read_moment(value: Any) -> datetime | None:
    """Never raises, because one unreadable row must not make the others unreadable."""
    if value is None:
        return None
    try:
        if isinstance(value, str):
            # Twice as fast as replacing the zone.
            return datetime.fromisoformat(f"{value}+00:00")
        moment: datetime = value if value.tzinfo is UTC else value.astimezone(UTC)
    except (ValueError, AttributeError):
        return stand_in_for_moment(value)
    return moment


def read_moment(stored: Any) -> datetime:
    """A moment of the ledger as a driver returned it. For columns that are never null."""
    found = _read_moment(stored)
    assert found is not None
    return found


def _read_id(value: Any) -> UUID | None:
    """Reads the 32 digits that SQLite stores. Never raises, for the same reason."""
    if value is None:
        return None
    try:
        found = UUID(int=int(value, 16))
    except (TypeError, ValueError):
        return stand_in_for_id(value)
    return found if found.hex == value else stand_in_for_id(value)


def _read_uuid(value: Any) -> UUID | None:
    return UUID(value) if isinstance(value, str) else value


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, always UTC. SQLite stores it as fixed-width text, which sorts as time does."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        return _read_moment


def _read_number(value: Any) -> int | None:
    return value if type(value) is int or value is None else stand_in_for_number(value)


def _read_text(value: Any) -> str | None:
    return value if type(value) is str or value is None else stand_in_for_text(value)


class Number(TypeDecorator[int]):
    """A whole number; on SQLite, which stores any type in any column, possibly a stand-in."""

    impl = Integer
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], int | None] | None:
        return _read_number if dialect.name == "sqlite" else None


class SmallNumber(Number):
    """The same in two bytes."""

    impl = SmallInteger
    cache_ok = True


class Words(TypeDecorator[str]):
    """A text of limited length; on SQLite possibly a stand-in."""

    impl = String
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], str | None] | None:
        return _read_text if dialect.name == "sqlite" else None


class LongText(Words):
    """A text of any length."""

    impl = Text
    cache_ok = True


class Flag(TypeDecorator[bool]):
    """Yes or no; on SQLite, every value except null and zero is yes."""

    impl = Boolean
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], bool | None] | None:
        return (lambda value: None if value is None else bool(value)) if dialect.name == "sqlite" else None


class Id(TypeDecorator[UUID]):
    """A UUID. SQLite stores it as 32 digits; another form is read as a stand-in."""

    impl = Uuid
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], UUID | None] | None:
        if dialect.name == "sqlite":
            return _read_id
        # The PostgreSQL driver has read it, unless an application has given its connection of asyncpg a codec.
        return _read_uuid if dialect.driver == "asyncpg" else None


def read_json(text: str | bytes) -> Any:
    """A stored JSON value; its text if Python cannot read it (a number of 5,000 digits, say).

    Another program wrote such a row, and it must not make other rows unreadable.
    """
    if len(text) < MAX_QUICK:
        try:
            return from_json(text)
        except (ValueError, RecursionError):
            pass
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.decode(errors="replace") if isinstance(text, bytes) else text


class JsonText(TypeDecorator[Any]):
    """JSON that is written as text already checked, and read as Python values.

    PostgreSQL stores it as ``json``, not ``jsonb``, so that it comes back unchanged to the last digit. SQLite stores it
    as text: a column declared JSON there would turn the text ``1.0`` into the number 1.
    """

    impl = JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else JSON(none_as_null=True))

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        def bind(value: str | None) -> str | None:
            return value

        return bind

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        if dialect.name != "sqlite" and dialect.driver != "asyncpg":
            return None  # The driver has read it. asyncpg reads it only on SQLAlchemy's own connections.
        return lambda value: read_json(value) if isinstance(value, str | bytes) else value


class id_tail(FunctionElement[str]):  # noqa: N801
    """The last six characters of an id, which people use as a short id."""

    type = String()
    inherit_cache = True
    name = "id_tail"


@compiles(id_tail, "postgresql")
def _tail_postgresql(element: id_tail, compiler: Any, **kw: Any) -> str:
    return f'"right"({compiler.process(element.clauses, **kw)}::text, 6)'


@compiles(id_tail, "sqlite")
def _tail_sqlite(element: id_tail, compiler: Any, **kw: Any) -> str:
    return f"substr({compiler.process(element.clauses, **kw)}, -6)"


LIVE_OF_SCHEDULE = "schedule is not null and state in ('queued', 'running')"
SUCCESS_OF_SCHEDULE = "schedule is not null and state = 'succeeded'"
OF_TENANT = "state = 'queued' and tenant is not null"
ON_HOLD = "state = 'queued' and hold is not null"
DUE = "next_slot_at is not null and paused_at is null"
HELD = "held_slot_at is not null and paused_at is null"
"""Queries repeat this text: SQLite uses a partial index only if the query has the same words."""


def one_of(column: str, values: Any) -> str:
    return f"{column} in ({', '.join(sorted(repr(str(value)) for value in values))})"


LIVE_KEY = "key is not null and state in ('queued', 'running')"
"""The runs that hold their key, whatever its scope: the predicate of a unique index."""
PURGED = "deleted_at is not null"
ENDED = "finished_at is not null"
"""The runs that have ended, in the words of the indexes: SQLite compares those of a query with them."""
SHOWN = f"{ENDED} and deleted_at is null"
"""The runs that have ended and are not purged, which lists show and counts count."""
