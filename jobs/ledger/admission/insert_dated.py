"""Inserts a plain run over a connection of the application that prepares no statements, and says when: Django's.

Such a connection has PostgreSQL parse and plan each statement again, which takes longer than the insert itself. A
function keeps its plan as long as the connection lasts, behind a pooler in transaction mode too.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Text, bindparam, cast, literal_column, select, text
from sqlalchemy.sql.elements import quoted_name
from sqlalchemy.sql.functions import Function

from jobs.database.direct_statements import DirectConnection, DirectStatement
from jobs.database.engine import Database
from jobs.database.models import JsonText, UtcDateTime
from jobs.errors import JobsError
from jobs.ledger.admission.insert import PLAIN, USUAL, has_usual_values, statement_of, usual_values, values_of
from jobs.ledger.records import NewRun

FUNCTION = "jobs_insert_run"
TYPES = "uuid, text, text, int, json, int, int, text, text, uuid, uuid, boolean, timestamptz"
_CAN_CALL = text("""
select exists (
    select from pg_proc as one
    where one.oid = to_regprocedure(:signature) and has_function_privilege(one.oid, 'execute')
        and position(:insert in one.prosrc) > 0
)
""")
_known: WeakKeyDictionary[Database, bool] = WeakKeyDictionary()


def has_function(database: Database) -> bool:
    """Whether the ledger has the function and this role may call it; looked up once for each database.

    A ledger that is not migrated yet has none. Nor does one count that names the table otherwise than this process: a
    ledger may be migrated by its schema, and used by the search path.
    """
    if database.dialect != "postgresql":
        return False
    found = _known.get(database)
    if found is None:
        try:
            with database.read() as connection:
                found = _known[database] = can_call(connection, database.schema)
        except JobsError:
            return False  # The insert raises it, as its caller expects it.
    return found


def forget_function(database: Database) -> None:
    """Look it up again: a migration may have dropped it."""
    _known.pop(database, None)


def insert_dated(
    connection: DirectConnection,
    run: NewRun,
    *,
    notify: bool,
    now: datetime | None = None,
    by_function: bool = False,
) -> datetime:
    """Insert a plain run as ``insert_plain`` does, and return when it was enqueued, by the ledger's clock.

    Without the function, the statement names no column that is NULL: PostgreSQL parses and plans the shorter statement
    in a third less time.

    Args:
        now: the ledger's clock, if this process has it, as with SQLite; None asks the database.
        by_function: what ``has_function`` says.
    """
    if by_function and has_usual_values(run):
        return _call(connection.schema, notify).moment(connection, usual_values(run))
    values = {name: one for name, one in values_of(run).items() if one is not None and (one or name != "delay_seconds")}
    if now is not None:
        # Each moment that is given spares SQLite a call of a Python function.
        values["now"] = now
        if "delay_seconds" in values:
            values["run_at"] = run.run_at or now + timedelta(seconds=values.pop("delay_seconds"))
        statement_of(tuple(values), notify, returns=False).run(connection, values)
        return now
    return statement_of(tuple(values), notify, returns=True).moment(connection, values)


@cache
def _call(schema: str | None, notify: bool) -> DirectStatement:
    def build(dialect: str) -> Any:
        values = [
            cast(bindparam(name, type_=Text()), JsonText) if name == "arguments" else bindparam(name, type_=PLAIN[name])
            for name in USUAL
        ]
        rest = [literal_column(str(notify).lower()), bindparam("now", type_=UtcDateTime())]
        packages = (schema,) if schema else ()
        name = quoted_name(FUNCTION, quote=True)
        return select(Function(name, *values, *rest, type_=UtcDateTime(), packagenames=packages))

    return DirectStatement(build)


def can_call(connection: Connection, schema: str | None) -> bool:
    """Whether this connection's role may call the function, and it inserts into the tables that ``schema`` means."""
    quoted = f"{connection.dialect.identifier_preparer.quote_identifier(schema)}." if schema else ""
    given = {"signature": f"{quoted}{FUNCTION}({TYPES})", "insert": f"insert into {quoted}job_runs ("}
    return bool(connection.execute(_CAN_CALL, given).scalar())
