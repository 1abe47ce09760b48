"""Indexes on tables in use: Alembic operations that build them CONCURRENTLY, and a check for incomplete ones.

A migration calls ``op.build_index`` and ``op.replace_index`` before anything else. Each commits the earlier changes and
builds outside a transaction, on PostgreSQL tables that others use. An interrupted build leaves an INVALID index, which
costs every write and serves no query. The next ``migrate up`` drops it and builds it again.

On SQLite, and on a database without a ledger, the index is built in the transaction of the migration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from alembic.operations import MigrateOperation, Operations
from sqlalchemy import Connection, Index, MetaData, TextClause, text
from sqlalchemy.schema import DDL, CreateIndex, DropIndex

from jobs.database.models import Base
from jobs.migration.build_progress import showing_progress

NEW = "_new"
"""Suffix of a replacement until it takes the name of the replaced index."""
_VALIDITY = """
select found.relname, pg_index.indisvalid and pg_index.indisready
from pg_index join pg_class as found on found.oid = pg_index.indexrelid
where found.relnamespace = (
    select relnamespace from pg_class where oid = to_regclass(coalesce(quote_ident(:schema) || '.', '') || 'job_runs')
)
"""
_BLOCKER = """
select pid, application_name, state, date_trunc('second', clock_timestamp() - xact_start)
from pg_stat_activity
where pid <> pg_backend_pid() and datname = current_database() and pid in (
    select pid from pg_locks where granted and relation in (
        select to_regclass(coalesce(quote_ident(:schema) || '.', '') || one) from unnest(cast(:names as text[])) as one
    )
)
order by xact_start
limit 1
"""
_VACUUMED = """
select distinct relname from pg_locks join pg_class on pg_class.oid = relation
where granted and mode = 'ShareUpdateExclusiveLock' and pid <> pg_backend_pid()
    and database = (select oid from pg_database where datname = current_database())
    and relation in (
        select to_regclass(coalesce(quote_ident(:schema) || '.', '') || one) from unnest(cast(:names as text[])) as one
    )
order by relname
"""
_SHORT_LOCKS = "SET lock_timeout = '100ms'"


@Operations.register_operation("build_index")
@Operations.register_operation("replace_index", "replace_index")
class BuildIndex(MigrateOperation):
    """An index to build on a table that may be in use."""

    def __init__(self, name: str, table: str, columns: Sequence[str | TextClause], options: dict[str, Any]) -> None:
        self.name, self.table, self.columns, self.options = name, table, columns, options

    @classmethod
    def build_index(
        cls,
        operations: Operations,
        name: str,
        table: str,
        columns: Sequence[str | TextClause],
        *,
        where: str | None = None,
        unique: bool = False,
    ) -> None:
        """Build it, unless a valid one exists. Commits the migration's earlier changes, so call it first."""
        options = {f"{one}_where": text(where) for one in ("postgresql", "sqlite") if where is not None}
        operations.invoke(cls(name, table, columns, {"unique": unique, **options}))

    @classmethod
    def replace_index(
        cls,
        operations: Operations,
        name: str,
        table: str,
        columns: Sequence[str | TextClause],
        *,
        where: str | None = None,
    ) -> None:
        """Build it under another name; it takes the place of the index ``name`` when the migration ends."""
        if is_plain(operations):
            operations.drop_index(name, table_name=table)
            cls.build_index(operations, name, table, columns, where=where)
            return
        cls.build_index(operations, name + NEW, table, columns, where=where)
        operations.drop_index(name, table_name=table, if_exists=True)
        names = {"new": name + NEW, "name": name}
        operations.execute(DDL("ALTER INDEX %(new)s RENAME TO %(name)s", context=names))  # type: ignore[no-untyped-call]


@Operations.implementation_for(BuildIndex)
def _build_index(operations: Operations, wanted: BuildIndex) -> None:
    context = operations.get_context()
    if is_plain(operations):
        operations.create_index(wanted.name, wanted.table, wanted.columns, **wanted.options)
        return
    concurrently = {**wanted.options, "postgresql_concurrently": True}
    with context.autocommit_block():
        if context.as_sql:
            # For users who apply statements by hand: a build waits for transactions, and blocks none.
            operations.execute("SET lock_timeout = 0")
            operations.create_index(wanted.name, wanted.table, wanted.columns, **concurrently)
            operations.execute(_SHORT_LOCKS)
            return
        # On a connection of its own: if the server ends it, Alembic's connection still works.
        attributes = context.config.attributes if context.config else {}
        index = operations.schema_obj.index(wanted.name, wanted.table, wanted.columns, **concurrently)
        build(attributes["beside"], index, schema=attributes["schema"], say=attributes["say"])


def is_plain(operations: Operations) -> bool:
    """Whether no other process uses the tables, so that an index is built in the migration's own transaction."""
    context = operations.get_context()
    attributes = context.config.attributes if context.config else {}
    return context.dialect.name != "postgresql" or bool(attributes.get("is_fresh"))


def build(connection: Connection, index: Index, *, schema: str | None, say: Callable[[str], None]) -> None:
    """Build ``index`` CONCURRENTLY unless a valid one exists; first drops the rest of an earlier attempt.

    The connection is in AUTOCOMMIT: such a build cannot be part of a transaction.
    """
    assert index.name is not None
    assert index.table is not None
    found = validity(connection, schema=schema).get(index.name)
    if found is True:
        return
    if found is False:
        say(f"dropping the index {index.name}, of which an earlier build was interrupted")
        connection.execute(DropIndex(index))
    say(f"building the index {index.name} of {index.table.name}; others read and write meanwhile")
    with showing_progress(connection, index.name, say):
        connection.execute(CreateIndex(index))


def validity(connection: Connection, *, schema: str | None) -> dict[str, bool]:
    """The indexes of the schema that holds the ledger, and whether each is valid."""
    rows = connection.execute(text(_VALIDITY), {"schema": schema})
    return {name: is_valid for name, is_valid in rows}  # noqa: C416


def build_missing(connection: Connection, *, schema: str | None, say: Callable[[str], None]) -> None:
    """Build each index of this release's tables that is missing or INVALID. The connection is in AUTOCOMMIT."""
    found = validity(connection, schema=schema)
    for table in Base.metadata.sorted_tables:
        if all(found.get(str(index.name)) for index in table.indexes):
            continue
        for index in sorted(table.to_metadata(MetaData()).indexes, key=lambda one: str(one.name)):
            index.dialect_options["postgresql"]["concurrently"] = True
            build(connection, index, schema=schema, say=say)


def blocker(connection: Connection, *, schema: str | None) -> str | None:
    """The oldest transaction that holds a lock on one of our tables, in words; None if there is none."""
    found = connection.execute(text(_BLOCKER), {"names": sorted(Base.metadata.tables), "schema": schema}).one_or_none()
    if found is None:
        return None
    pid, name, state, age = found
    return f"process {pid} ({name or 'unnamed'}, {state or 'hidden'}) has a transaction open for {age}"


def vacuumed_tables(connection: Connection, *, schema: str | None) -> list[str]:
    """Our tables that a vacuum, or another command with the same lock, holds."""
    given = {"names": sorted(Base.metadata.tables), "schema": schema}
    return list(connection.scalars(text(_VACUUMED), given))
