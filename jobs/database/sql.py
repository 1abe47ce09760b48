"""SQL expressions that PostgreSQL and SQLite spell differently."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from sqlalchemy import (
    Connection,
    Engine,
    Float,
    FromClause,
    Select,
    SQLColumnExpression,
    Text,
    any_,
    bindparam,
    case,
    cast,
    column,
    event,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from jobs.database.models import UtcDateTime, write_moment

if TYPE_CHECKING:
    from sqlalchemy.orm import Session
    from typing_extensions import TypeIs

Executor: TypeAlias = "Session | Connection"
"""The caller's session or connection, whose transaction the caller owns."""


def is_session(executor: Executor) -> TypeIs[Session]:
    """Whether it is a session of the ORM, which is imported only if the application has imported it."""
    return not isinstance(executor, Connection)


def connection_of(executor: Executor) -> Connection:
    """The connection of a session, or the connection itself."""
    return executor.connection() if is_session(executor) else executor


class ledger_now(FunctionElement[Any]):  # noqa: N801
    """The current moment: the bound ``now`` of a test, else the database's own clock.

    The start of the statement, not of the transaction: a caller's transaction may be minutes old.
    """

    type = UtcDateTime()
    inherit_cache = True
    name = "ledger_now"

    def __init__(self) -> None:
        super().__init__(bindparam("now", None, type_=UtcDateTime()))


@compiles(ledger_now, "postgresql")
def _now_postgresql(element: ledger_now, compiler: Any, **kw: Any) -> str:
    return f"coalesce({compiler.process(element.clauses, **kw)}, statement_timestamp())"


@compiles(ledger_now, "sqlite")
def _now_sqlite(element: ledger_now, compiler: Any, **kw: Any) -> str:
    # In a subquery, so that SQLite calls the function once per statement and can use it to bound an index.
    return f"coalesce({compiler.process(element.clauses, **kw)}, (select jobs_now()))"


class plus_seconds(FunctionElement[Any]):  # noqa: N801
    """A moment plus seconds, which may be negative or fractional."""

    type = UtcDateTime()
    inherit_cache = True
    name = "plus_seconds"

    def __init__(self, moment: SQLColumnExpression[Any], seconds: ColumnElement[Any]) -> None:
        super().__init__(moment, seconds)


@compiles(plus_seconds, "postgresql")
def _plus_postgresql(element: plus_seconds, compiler: Any, **kw: Any) -> str:
    moment, seconds = (compiler.process(one, **kw) for one in element.clauses)
    return f"({moment} + make_interval(secs => {seconds}))"


@compiles(plus_seconds, "sqlite")
def _plus_sqlite(element: plus_seconds, compiler: Any, **kw: Any) -> str:
    moment, seconds = (compiler.process(one, **kw) for one in element.clauses)
    return f"jobs_plus({moment}, {seconds})"


class seconds_between(FunctionElement[float]):  # noqa: N801
    """Seconds from the first moment to the second; NULL if Python cannot hold one of them."""

    type = Float()
    inherit_cache = True
    name = "seconds_between"

    def __init__(self, earlier: SQLColumnExpression[Any], later: SQLColumnExpression[Any]) -> None:
        super().__init__(earlier, later)


@compiles(seconds_between, "postgresql")
def _between_postgresql(element: seconds_between, compiler: Any, **kw: Any) -> str:
    earlier, later = (compiler.process(one, **kw) for one in element.clauses)
    # Each by itself: before release 17 a difference of infinite moments makes its statement fail.
    seconds = f"(extract(epoch from {later}) - extract(epoch from {earlier}))::float8"
    return f"nullif(nullif(nullif({seconds}, 'infinity'), '-infinity'), 'nan')"


@compiles(seconds_between, "sqlite")
def _between_sqlite(element: seconds_between, compiler: Any, **kw: Any) -> str:
    earlier, later = (compiler.process(one, **kw) for one in element.clauses)
    return f"jobs_between({earlier}, {later})"


def one_of(dialect: str, this: SQLColumnExpression[Any], ids: Select[Any]) -> ColumnElement[bool]:
    """Whether this is among the ids that ``ids`` selects. On PostgreSQL an array, computed first.

    Joined to a select, the planner may scan the table instead of the index of ``this``.
    """
    if dialect == "postgresql":
        return this == any_(func.array(ids.scalar_subquery()))
    return this.in_(ids)


MOST = 2**31 - 1
"""The largest count in the ledger. A count that has reached it stays, because adding would fail the statement."""


def counted(count: SQLColumnExpression[Any], more: Any) -> ColumnElement[int]:
    """``count`` plus ``more`` (0 or 1), as far as the column can hold it."""
    return case((count < literal_column(str(MOST)), count + more), else_=count)


def insert_into(dialect: str, model: type[Any]) -> Any:
    """An INSERT that knows ON CONFLICT, in the dialect's own spelling.

    It names the table, not the model: in a Session it is then one plain statement and not the ORM's.
    """
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return make(model.__table__)


class RowBatch:
    """Many rows passed to one statement: ``unnest`` of arrays on PostgreSQL, ``json_each`` on SQLite.

    >>> ended = Batch("ended", id=Uuid(), outcome=Text())
    >>> statement = update(JobRun).where(JobRun.id == ended.table(dialect).c.id)...
    >>> session.execute(statement, ended.rows(dialect, [(run_id, "failed")]))
    """

    def __init__(self, name: str, **columns: TypeEngine[Any]) -> None:
        self.name = name
        self.columns = columns

    def table(self, dialect: str, *, with_ordinality: str | None = None) -> FromClause:
        """The rows as a table to select from or join.

        Args:
            with_ordinality: the name of a further column with each row's number, from 1. PostgreSQL only.
        """
        if dialect == "postgresql":
            arrays = map(self._bound, self.columns)
            names = [column(name, kind) for name, kind in self.columns.items()]
            rows = func.unnest(*arrays).table_valued(*names, with_ordinality=with_ordinality)
            return rows.render_derived(name=self.name)
        each = func.json_each(bindparam(self.name, type_=Text())).table_valued("value", name=f"{self.name}_each")
        return select(
            *(
                func.json_extract(each.c.value, literal_column(f"'$[{place}]'"), type_=kind).label(name)
                for place, (name, kind) in enumerate(self.columns.items())
            )
        ).subquery(self.name)

    def among(self, dialect: str, this: SQLColumnExpression[Any], name: str) -> ColumnElement[bool]:
        """Whether this is in the rows' column ``name``; use it in addition to a join on the column.

        It makes PostgreSQL use the index of ``this``, whatever its statistics of the table say.
        """
        if dialect == "postgresql":
            return this == any_(self._bound(name))
        return true()

    def _bound(self, name: str) -> ColumnElement[Any]:
        """The values of a column, as an array of PostgreSQL's."""
        # As text, which PostgreSQL parses: the driver's own way to write a list costs ten times as much.
        return cast(bindparam(f"{self.name}_{name}", type_=Text()), ARRAY(self.columns[name]))

    def rows(self, dialect: str, rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
        """The parameters that carry ``rows``, each in the order of the columns."""
        if dialect == "postgresql":
            turned = zip(*rows, strict=True) if rows else [()] * len(self.columns)
            return {f"{self.name}_{name}": _array(values) for name, values in zip(self.columns, turned, strict=True)}
        return {self.name: json.dumps(rows, default=_plain)}


class BinaryBatch(RowBatch):
    """Rows that go to PostgreSQL in the binary format: for ``DirectStatement.begin``, which alone writes it."""

    def _bound(self, name: str) -> ColumnElement[Any]:
        return bindparam(f"{self.name}_{name}", type_=ARRAY(self.columns[name]))

    def rows(self, dialect: str, rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
        turned = zip(*rows, strict=True) if rows else [()] * len(self.columns)
        return {f"{self.name}_{name}": values for name, values in zip(self.columns, turned, strict=True)}


def dialect_of(executor: Any) -> str:
    """``postgresql`` or ``sqlite``; of a session, or of a connection of SQLAlchemy's or of the driver's."""
    bind = executor if hasattr(executor, "dialect") else executor.get_bind()
    return str(bind.dialect.name)


def schema_of(executor: Executor) -> str | None:
    """The schema of the ledger's tables, if it is not that of the connection's search path."""
    bind = executor.connection() if is_session(executor) else executor
    schemas: dict[None, str] | None = bind.get_execution_options().get("schema_translate_map")
    return schemas[None] if schemas else None


def _array(values: Sequence[Any]) -> str:
    """``values`` in PostgreSQL's array syntax."""
    if not values:
        return "{}"
    first = values[0]
    kind = type(first)
    if isinstance(first, UUID):
        # Not compared: comparing costs more than writing them all.
        if all(values):
            return "{" + ",".join(["%032x" % one.int for one in values]) + "}"  # noqa: UP031, twice as fast
    elif (first is None or kind in (str, int, float, datetime)) and values.count(first) == len(values):
        return "{" + ",".join([_ELEMENT[kind](first)] * len(values)) + "}"
    elif kind in (int, float) and len(set(map(type, values))) == 1:
        return "{" + ",".join(map(repr, values)) + "}"
    return "{" + ",".join([_ELEMENT[type(one)](one) for one in values]) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_ELEMENT: dict[type, Callable[[Any], str]] = {
    type(None): lambda none: "NULL",
    UUID: lambda id: id.hex,
    str: _quoted,
    int: str,
    float: repr,
    datetime: lambda moment: f'"{moment.isoformat()}"',
}


def _plain(value: Any) -> str:
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return write_moment(value)
    raise TypeError(f"{value!r} does not travel in a batch")


pins: list[Callable[[], datetime]] = []
"""Functions that ``pinned_now`` uses, for statements sent to the driver directly; the last one counts."""


@contextmanager
def pinned_now(read: Callable[[], datetime]) -> Iterator[None]:
    """For tests: statements that use PostgreSQL's clock get the moment of ``read`` instead.

    SQLite uses its App's clock anyway.
    """

    def bind(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> tuple[str, Any]:
        if isinstance(parameters, dict) and "now" in parameters and parameters["now"] is None:
            parameters = {**parameters, "now": read()}
        return statement, parameters

    event.listen(Engine, "before_cursor_execute", bind, retval=True)
    pins.append(read)
    try:
        yield
    finally:
        pins.remove(read)
        event.remove(Engine, "before_cursor_execute", bind)
