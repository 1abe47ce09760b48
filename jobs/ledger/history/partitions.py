"""The partitions of history: made ahead, listed, and dropped when all in them is over its time.

A partition is made as a table of its own and then attached, and detached CONCURRENTLY before it is dropped: neither
stops a statement that reads or writes runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, func, select, text
from sqlalchemy.schema import DDL

from jobs.database.engine import Database
from jobs.ledger.history.periods import Period, part_around
from jobs.migration.history_tables import TWINS, Twin

LOCK_LIMIT = timedelta(milliseconds=100)
"""How long a change of tables waits for a lock, and others behind it. Source: the issue."""
DETACH_LIMIT = timedelta(seconds=5)
"""How long a detach waits for statements that began before. Source: decision; upkeep has other tasks."""
OURS = "jobledger: retention is dropping this partition"
"""The comment of a partition from before it is detached, so that it is dropped whatever dies in between."""
_BOUNDS = re.compile(r"FROM \('([^']+)'\) TO \('([^']+)'\)")
_LIST = text("""
select twin.relname as twin, rule.relname as rule_name, leaf.relname as name,
    pg_get_expr(rule.relpartbound, rule.oid) as rule, pg_get_expr(leaf.relpartbound, leaf.oid) as bounds,
    greatest(leaf.reltuples, 0)::bigint as rows, pg_total_relation_size(leaf.oid) as bytes,
    coalesce((to_jsonb(up) ->> 'inhdetachpending')::boolean, false) as is_pending
from pg_class as twin
join pg_inherits as top on top.inhparent = twin.oid join pg_class as rule on rule.oid = top.inhrelid
join pg_inherits as up on up.inhparent = rule.oid join pg_class as leaf on leaf.oid = up.inhrelid
where twin.relnamespace = (select relnamespace from pg_class
        where oid = to_regclass(coalesce(quote_ident(:schema) || '.', '') || 'job_history'))
    and twin.relname = any(cast(:twins as text[]))
order by leaf.relname
""")
_LOOSE = text("""
select relname, coalesce(obj_description(oid, 'pg_class') = :ours, false),
    greatest(reltuples, 0)::bigint, pg_total_relation_size(oid)
from pg_class
where relkind in ('r', 'p') and not relispartition and relname ~ '^job_((attempts|attempt_logs|steps)_)?history_.+'
    and relname <> 'job_history_settings' and relnamespace = (
        select relnamespace from pg_class
        where oid = to_regclass(coalesce(quote_ident(:schema) || '.', '') || 'job_history'))
order by relname
""")


@dataclass(frozen=True, slots=True)
class Partition:
    """The runs of one rule that ended within one period, or their attempts or steps.

    Attributes:
        rule_table: the partition of the twin that this one belongs to.
        rows: about how many, as the last ANALYZE counted.
        is_pending: a DETACH CONCURRENTLY of it was interrupted.
    """

    twin: str
    rule: str
    rule_table: str
    name: str
    period: Period
    rows: int
    bytes: int
    is_pending: bool


@dataclass(frozen=True, slots=True)
class LooseTable:
    """A table with the name of a partition that is attached to none. ``is_ours``: retention detached it."""

    name: str
    is_ours: bool
    rows: int
    bytes: int


def partitions(connection: Connection, schema: str | None) -> list[Partition]:
    """Every partition, by name."""
    found: list[Partition] = []
    rows = connection.execute(_LIST, {"schema": schema, "twins": [one.name for one in TWINS]})
    for row in rows:
        bounds, rule = _BOUNDS.search(row.bounds or ""), re.search(r"IN \('(.*)'\)", row.rule or "")
        if bounds is None or rule is None:
            continue
        period = Period(*(_moment(one) for one in bounds.groups()))
        found.append(Partition(row.twin, rule[1], row.rule_name, row.name, period, row.rows, row.bytes, row.is_pending))
    return found


def loose_tables(connection: Connection, schema: str | None) -> list[LooseTable]:
    """The tables that look like partitions and are attached nowhere: retention's own, or detached by somebody."""
    return [LooseTable(*row) for row in connection.execute(_LOOSE, {"schema": schema, "ours": OURS})]


def make_for(database: Database, wanted: Iterable[tuple[str, datetime]], *, length: str) -> int:
    """Make the partitions for these rules and moments that are not there, in one transaction; returns how many.

    Args:
        length: of a new period: ``month``, ``week`` or ``day``.

    Raises:
        LedgerBusy: somebody holds a lock, or makes them too; try again.
    """
    made = 0
    with _changing(database) as plain, plain.begin():
        _limit(plain)
        there: dict[tuple[str, str], list[Period]] = {}
        for one in partitions(plain, database.schema):
            there.setdefault((one.twin, one.rule), []).append(one.period)
        for rule, moment in sorted(set(wanted)):
            for twin in TWINS:
                taken = there.setdefault((twin.name, rule), [])
                if any(one.begin <= moment < one.end for one in taken):
                    continue
                period = part_around(moment, length, taken)
                _attach(plain, database.schema, twin, rule, period)
                taken.append(period)
                made += 1
    return made


def drop(database: Database, one: Partition) -> None:
    """Detach a partition without stopping anybody, and drop it.

    Raises:
        LedgerBusy: somebody holds a lock on it; a later call goes on from there.
    """
    schema = database.schema
    with _changing(database) as plain:
        with plain.begin():
            _limit(plain)
            _run(plain, schema, "COMMENT ON TABLE %(p)s%(name)s IS '%(ours)s'", name=one.name, ours=OURS)
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        if not database.is_pooled_by_others:
            # It waits for statements that began before, while nobody waits for it.
            connection.execute(select(func.set_config("lock_timeout", _milliseconds(DETACH_LIMIT), False)))
        how = " FINALIZE" if one.is_pending else " CONCURRENTLY" if _can_detach_concurrently(connection) else ""
        _run(
            connection, schema, "ALTER TABLE %(p)s%(rule)s DETACH PARTITION %(p)s%(name)s%(how)s",
            name=one.name, rule=one.rule_table, how=how,
        )  # fmt: skip
    drop_loose(database, one.name)


def drop_loose(database: Database, name: str) -> None:
    """Drop a detached partition.

    Raises:
        LedgerBusy: somebody holds a lock on it.
    """
    with _changing(database) as plain, plain.begin():
        _limit(plain)
        _run(plain, database.schema, "DROP TABLE IF EXISTS %(p)s%(name)s", name=name)


@contextmanager
def _changing(database: Database) -> Iterator[Connection]:
    """A connection of its own, without a time limit for statements."""
    changing = database.for_changes()
    try:
        with changing.translated(), changing.engine.connect() as plain:
            yield plain
    finally:
        changing.close()


def _can_detach_concurrently(connection: Connection) -> bool:
    """From release 14 on. Before, a detach locks the twin for a moment."""
    found = connection.dialect.server_version_info
    return found is not None and found >= (14,)


def _attach(connection: Connection, schema: str | None, twin: Twin, rule: str, period: Period) -> None:
    run = partial(_run, connection, schema)
    of_rule = f"{twin.name}_{rule}"
    if not _is_there(connection, schema, of_rule):
        run(
            "CREATE TABLE %(p)s%(name)s (LIKE %(p)s%(of)s INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
            " PARTITION BY RANGE (%(moment)s)",
            name=of_rule, of=twin.name, moment=twin.moment,
        )  # fmt: skip
        run(
            "ALTER TABLE %(p)s%(of)s ATTACH PARTITION %(p)s%(name)s FOR VALUES IN ('%(rule)s')",
            name=of_rule, of=twin.name, rule=rule,
        )  # fmt: skip
    name = f"{of_rule}_{period.suffix}"
    for number in range(2, 100):
        if not _is_there(connection, schema, name):
            break
        # Somebody detached the one of this period, or its first part is there.
        name = f"{of_rule}_{period.suffix}_{number}"
    run(
        "CREATE TABLE %(p)s%(name)s (LIKE %(p)s%(of)s INCLUDING DEFAULTS INCLUDING CONSTRAINTS)",
        name=name,
        of=twin.name,
    )
    run(
        "ALTER TABLE %(p)s%(of)s ATTACH PARTITION %(p)s%(name)s FOR VALUES FROM ('%(begin)s') TO ('%(end)s')",
        name=name, of=of_rule, begin=period.begin.isoformat(), end=period.end.isoformat(),
    )  # fmt: skip


def _limit(connection: Connection) -> None:
    """Wait briefly for locks, until the transaction ends: behind pgbouncer others get the connection then."""
    connection.execute(select(func.set_config("lock_timeout", _milliseconds(LOCK_LIMIT), True)))


def _milliseconds(span: timedelta) -> str:
    return f"{span.total_seconds() * 1000:g}"


def _is_there(connection: Connection, schema: str | None, name: str) -> bool:
    query = text("select to_regclass(coalesce(quote_ident(:schema) || '.', '') || :name) is not null")
    return bool(connection.scalar(query, {"schema": schema, "name": name}))


def _run(connection: Connection, schema: str | None, statement: str, **names: str) -> None:
    """A change of tables. Its names are ours, or made of a rule's and a date's characters."""
    assert all(re.fullmatch(r"[\w :.,+-]*", one) for one in names.values()), names
    quote = connection.dialect.identifier_preparer.quote_identifier
    given: dict[str, Any] = {**names, "p": "" if schema is None else f"{quote(schema)}."}
    connection.execute(DDL(statement, context=given))  # type: ignore[no-untyped-call]


def _moment(spelt: str) -> datetime:
    # PostgreSQL writes "2026-11-01 00:00:00+00" in the session's time zone.
    return datetime.fromisoformat(spelt)
