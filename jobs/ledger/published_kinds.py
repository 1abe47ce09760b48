"""What workers publish of their kinds, for callers that do not import the application: SQL functions and the API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from operator import attrgetter
from typing import Any

from sqlalchemy import Float, Integer, String, Text, cast, or_, select, text
from sqlalchemy.types import TypeEngine

from jobs.database.models import JobPublishedKind, JsonText
from jobs.database.sql import Executor, RowBatch, dialect_of, insert_into, ledger_now
from jobs.definition.published import PublishedKind

_COLUMNS: dict[str, TypeEngine[Any]] = {
    "kind": String(),
    "queue": String(),
    "priority": Integer(),
    "max_attempts": Integer(),
    "arguments_version": Integer(),
    "is_unique": Integer(),
    "hold_seconds": Float(),
    "schema": Text(),
    "max_argument_bytes": Integer(),
    "retain_seconds": Float(),
    "latency_target_seconds": Integer(),
    "success_target": Float(),
}
_BATCH = RowBatch("published", **_COLUMNS)
_read = attrgetter(*_COLUMNS)


def publish_kinds(session: Executor, kinds: Sequence[PublishedKind], *, now: datetime | None = None) -> None:
    """Record what a worker knows of its kinds; the last worker that started counts. Writes only what changed."""
    if not kinds:
        return
    dialect = dialect_of(session)
    rows = [tuple(int(one) if isinstance(one, bool) else one for one in _read(kind)) for kind in kinds]
    session.execute(_publish(dialect), {**_BATCH.rows(dialect, sorted(rows)), "now": now})


def find_published(session: Executor, kinds: Iterable[str] | None) -> dict[str, PublishedKind]:
    """What is published of these kinds, or of all (None), by name."""
    row = JobPublishedKind
    columns = [cast(row.schema, Text) if name == "schema" else getattr(row, name) for name in _COLUMNS]
    query = select(*columns)
    found = session.execute(query if kinds is None else query.where(row.kind.in_(sorted(set(kinds)))))
    return {one[0]: PublishedKind(*one) for one in found}


def retained_kinds(session: Executor) -> dict[str, timedelta]:
    """The kinds whose runs are kept for a time of their own (``retain=``)."""
    row = JobPublishedKind
    found = session.execute(select(row.kind, row.retain_seconds).where(row.retain_seconds.is_not(None)))
    return {kind: timedelta(seconds=seconds) for kind, seconds in found if seconds is not None}


@cache
def _publish(dialect: str) -> Any:
    new = _BATCH.table(dialect).c
    values: dict[str, Any] = {name: new[name] for name in _COLUMNS}
    values["is_unique"] = new.is_unique == 1
    values["schema"] = cast(new.schema, JsonText)
    values["published_at"] = ledger_now()
    rows = insert_into(dialect, JobPublishedKind).from_select(
        list(values), select(*values.values()).where(text("true")), include_defaults=False
    )
    table, told = JobPublishedKind.__table__.c, rows.excluded
    changed = [
        cast(table[name], Text).is_distinct_from(cast(told[name], Text))
        if name == "schema"
        else table[name].is_distinct_from(told[name])
        for name in _COLUMNS
    ]
    return rows.on_conflict_do_update(
        index_elements=["kind"], set_={name: told[name] for name in values if name != "kind"}, where=or_(*changed)
    )
