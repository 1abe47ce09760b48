"""Inserts runs: a run is a row before it is a message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Float,
    Insert,
    Integer,
    String,
    Text,
    Uuid,
    bindparam,
    cast,
    false,
    func,
    insert,
    literal_column,
    select,
    text,
)
from sqlalchemy.types import TypeEngine

from jobs.database.direct_statements import DirectConnection, DirectStatement
from jobs.database.models import JobRun, JsonText, UtcDateTime
from jobs.database.postgres.driver import CHANNEL
from jobs.database.sql import Executor, RowBatch, dialect_of, insert_into, ledger_now, plus_seconds
from jobs.definition.fairness import fair_kinds, tenant_of
from jobs.ledger.records import NewRun
from jobs.states import RunState

PLAIN: dict[str, TypeEngine[Any]] = {
    "id": Uuid(),
    "kind": String(),
    "queue": String(),
    "priority": Integer(),
    "arguments": Text(),
    "arguments_version": Integer(),
    "max_attempts": Integer(),
    "tags": Text(),
    "correlation_id": String(),
    "trace_context": String(),
    "enqueued_by": String(),
    "parent_id": Uuid(),
    "root_id": Uuid(),
    "replayed_from": Uuid(),
    "schedule": String(),
}
_GIVEN: dict[str, TypeEngine[Any]] = {
    "delay_seconds": Float(),
    "run_at": UtcDateTime(),
    "expires_seconds": Float(),
    "expires_at": UtcDateTime(),
    "scheduled_for": UtcDateTime(),
}
_KEYED: dict[str, TypeEngine[Any]] = {"key": String(), "arguments_hash": String(), "has_followups": Integer()}
_UNUSUAL = dict.fromkeys(("tags", "trace_context", "replayed_from", "schedule", *_GIVEN)) | {"delay_seconds": 0.0}
"""What most runs do not say: a statement without these columns takes less time on both sides."""
USUAL = tuple(name for name in PLAIN if name not in _UNUSUAL)
_JSON = frozenset({"arguments", "tags"})
_BATCH = RowBatch("new", **PLAIN, **_GIVEN)
_USUAL_BATCH = RowBatch("new", **{name: PLAIN[name] for name in USUAL})
_KEYED_BATCH = RowBatch("new", **PLAIN, **_KEYED, **_GIVEN)
_MEMBER: dict[str, TypeEngine[Any]] = {**_KEYED, "batch_id": Uuid(), "tenant": String()}
_MEMBER_BATCH = RowBatch("new", **PLAIN, **_MEMBER, **_GIVEN)


def insert_runs(
    session: Executor, runs: Sequence[NewRun], *, notify: bool = False, now: datetime | None = None
) -> None:
    """Insert ``runs`` as queued, in one statement. Ignores their keys and follow-ups.

    Args:
        notify: wake idle workers when the transaction commits, by the same statement.
    """
    if fair_kinds and any(map(is_fair, runs)):
        bare = [replace(run, key=None, arguments_hash=None, followups=(), batch_id=None) for run in runs]
        insert_free(session, bare, now=now)
        if notify:
            session.execute(select(NOTIFY))
        return
    if len(runs) == 1:
        statement: Any = _one_notified() if notify else _one()
        session.execute(statement, {**values_of(runs[0]), "now": now})
        return
    dialect = dialect_of(session)
    is_usual, values = _rows(dialect, runs)
    statement = _many_notified(is_usual) if notify else _many(dialect, is_usual)
    session.execute(statement, {**values, "now": now})


def insert_plain(connection: DirectConnection, runs: Sequence[NewRun], *, notify: bool) -> None:
    """Insert ``runs`` as queued, commit, and wake idle workers: one statement. They have no key and no follow-ups.

    Args:
        notify: whether workers listen for NOTIFY.
    """
    if len(runs) == 1:
        if has_usual_values(runs[0]):
            statement_of(USUAL, notify, returns=False).count(connection, usual_values(runs[0]))
            return
        values = values_of(runs[0])
        (_ONE_NOTIFIED if notify else _ONE).count(connection, values)
    else:
        is_usual, values = _rows(connection.dialect.name, runs)
        (_MANY_NOTIFIED if notify else _MANY)[is_usual].count(connection, values)


def insert_if_free(connection: DirectConnection, run: NewRun, *, notify: bool) -> bool:
    """Insert ``run`` and commit, unless a live run holds its key; returns whether it did. One statement.

    It has a key that is held while its run lives, and no follow-ups. On PostgreSQL it waits for another's uncommitted
    run with the same key, up to the lock time limit.

    Args:
        notify: whether workers listen for NOTIFY.
    """
    values = keyed_columns(run)
    return (_IF_FREE_NOTIFIED if notify else _IF_FREE).count(connection, values) > 0


def has_usual_values(run: NewRun) -> bool:
    """Whether the values of ``USUAL`` are all that a run has."""
    return _unusual_of(run) == _NOTHING_UNUSUAL


def usual_values(run: NewRun) -> dict[str, Any]:
    """The values of ``USUAL``."""
    return dict(zip(USUAL, _usual_of(run), strict=True))


def values_of(run: NewRun) -> dict[str, Any]:
    """All values of a run without a key."""
    return dict(zip(_BATCH.columns, _columns_of(run), strict=True))


def keyed_columns(run: NewRun) -> dict[str, Any]:
    """The values of a run with a key."""
    return dict(zip(_KEYED_BATCH.columns, _keyed_columns_of(run), strict=True))


def insert_free(session: Executor, runs: Sequence[NewRun], *, now: datetime | None = None) -> set[UUID]:
    """Insert those of ``runs`` whose key no live run holds, in one statement. Returns the ids of those inserted.

    On PostgreSQL it waits for another's uncommitted run with the same key, up to the lock time limit.
    """
    if not runs:
        return set()
    dialect = dialect_of(session)
    has_members = any(run.batch_id is not None for run in runs) or (bool(fair_kinds) and any(map(is_fair, runs)))
    rows = _member_rows(runs) if has_members else list(map(_keyed_columns_of, runs))
    values = {**(_MEMBER_BATCH if has_members else _KEYED_BATCH).rows(dialect, rows), "now": now}
    return set(session.scalars(_free(dialect, has_members=has_members), values))


@cache
def _one() -> Insert:
    return insert(JobRun).values(**bound(PLAIN))


def _if_free(dialect: str) -> Any:
    row = {**bound({**PLAIN, "key": String(), "arguments_hash": String()}), "has_followups": false()}
    return insert_into(dialect, JobRun).values(**row).on_conflict_do_nothing()


@cache
def statement_of(names: tuple[str, ...], notify: bool, *, returns: bool) -> DirectStatement:
    """Inserts a run with the values of these names alone.

    Args:
        notify: wake idle workers when the transaction commits, by the same statement.
        returns: return when it was created, in the first column.
    """
    plain, given = ({name: kind for name, kind in all_.items() if name in names} for all_ in (PLAIN, _GIVEN))
    returned = [*([JobRun.created_at] if returns else []), *([NOTIFY] if notify else [])]

    def build(dialect: str) -> Any:
        statement = insert(JobRun).values(**bound(plain, given))
        return statement.returning(*returned) if returned else statement

    return DirectStatement(build)


def bound(plain: Mapping[str, TypeEngine[Any]], given: Mapping[str, TypeEngine[Any]] = _GIVEN) -> dict[str, Any]:
    """The values of one run, each bound."""
    values: dict[str, Any] = {
        name: cast(bindparam(name, type_=Text()), JsonText) if name in _JSON else bindparam(name, type_=kind)
        for name, kind in plain.items()
    }
    return values | _moments({name: bindparam(name, type_=kind) for name, kind in given.items()})


def _rows(dialect: str, runs: Sequence[NewRun]) -> tuple[bool, dict[str, Any]]:
    """Whether none of ``runs`` has an unusual value, and the parameters that carry them."""
    if all(map(has_usual_values, runs)):
        return True, _USUAL_BATCH.rows(dialect, list(map(_usual_of, runs)))
    return False, _BATCH.rows(dialect, list(map(_columns_of, runs)))


@cache
def _many(dialect: str, is_usual: bool) -> Any:
    batch = _USUAL_BATCH if is_usual else _BATCH
    new = batch.table(dialect)
    plain, given = ({name: kind for name, kind in all_.items() if name in batch.columns} for all_ in (PLAIN, _GIVEN))
    columns = _columns(new.c, plain, given)
    return insert_into(dialect, JobRun).from_select(list(columns), select(*columns.values()), include_defaults=False)


@cache
def _one_notified() -> Any:
    return _one().returning(NOTIFY)


@cache
def _many_notified(is_usual: bool) -> Any:
    return select(NOTIFY).add_cte(_many("postgresql", is_usual).cte("inserted"))


@cache
def _free(dialect: str, *, has_members: bool) -> Any:
    new = (_MEMBER_BATCH if has_members else _KEYED_BATCH).table(dialect)
    columns = _columns(new.c, {**PLAIN, **(_MEMBER if has_members else _KEYED)})
    # Without a WHERE, SQLite cannot tell where the select ends and ON CONFLICT begins.
    rows = select(*columns.values()).where(text("true"))
    return (
        insert_into(dialect, JobRun)
        .from_select(list(columns), rows, include_defaults=False)
        .on_conflict_do_nothing()
        .returning(JobRun.id)
    )


def _columns(new: Any, plain: Mapping[str, Any], given: Iterable[str] = _GIVEN) -> dict[str, Any]:
    columns = {name: cast(new[name], JsonText) if name in _JSON else new[name] for name in plain}
    if "has_followups" in columns:
        columns["has_followups"] = new["has_followups"] == 1
    return columns | _moments({name: new[name] for name in given})


def _moments(given: Mapping[str, Any]) -> dict[str, Any]:
    """All moments of a new run come from the ledger's clock, unless the caller gave them."""
    found = {
        "run_at": _moment(given, "run_at", "delay_seconds", otherwise=ledger_now()),
        "expires_at": _moment(given, "expires_at", "expires_seconds", otherwise=None),
        "scheduled_for": given.get("scheduled_for"),
        "created_at": ledger_now(),
        "state_at": ledger_now(),
        "state": literal_column(f"'{RunState.QUEUED.value}'"),
        **{name: literal_column("0") for name in ("attempt", "charged", "crashes", "abandonments")},
    }
    return {name: value for name, value in found.items() if value is not None}


def _moment(given: Mapping[str, Any], moment: str, seconds: str, *, otherwise: Any) -> Any:
    """The given moment, or the ledger's clock plus the given seconds, as far as the statement has them."""
    later = plus_seconds(ledger_now(), given[seconds]) if seconds in given else otherwise
    return func.coalesce(given[moment], later, type_=UtcDateTime()) if moment in given else later


def is_fair(run: NewRun) -> bool:
    """Whether the tenants of its kind take turns: then it is inserted with its tenant."""
    return run.kind in fair_kinds


def _member_rows(runs: Sequence[NewRun]) -> list[tuple[Any, ...]]:
    place = list(_MEMBER_BATCH.columns).index("tenant")
    rows = []
    for run in runs:
        values = list(_untenanted_of(run))
        values.insert(place, tenant_of(run.kind, run.arguments, run.arguments_version))
        rows.append(tuple(values))
    return rows


_usual_of, _unusual_of = attrgetter(*USUAL), attrgetter(*_UNUSUAL)
_NOTHING_UNUSUAL = tuple(_UNUSUAL.values())
_columns_of, _keyed_columns_of = attrgetter(*_BATCH.columns), attrgetter(*_KEYED_BATCH.columns)
_untenanted_of = attrgetter(*(name for name in _MEMBER_BATCH.columns if name != "tenant"))
NOTIFY: Any = literal_column(f"pg_notify('{CHANNEL}', '')")
_IF_FREE = DirectStatement(lambda dialect: _if_free(dialect).returning(JobRun.id))
_IF_FREE_NOTIFIED = DirectStatement(lambda dialect: _if_free(dialect).returning(NOTIFY))
_ONE, _ONE_NOTIFIED = DirectStatement(lambda dialect: _one()), DirectStatement(lambda dialect: _one_notified())
_MANY = {
    False: DirectStatement(lambda dialect: _many(dialect, is_usual=False)),
    True: DirectStatement(lambda dialect: _many(dialect, is_usual=True)),
}
_MANY_NOTIFIED = {
    False: DirectStatement(lambda dialect: _many_notified(is_usual=False)),
    True: DirectStatement(lambda dialect: _many_notified(is_usual=True)),
}
