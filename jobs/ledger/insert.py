"""Insert: a run is a row before it is a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    Float,
    Insert,
    Integer,
    String,
    Text,
    Uuid,
    bindparam,
    cast,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.types import TypeEngine

from jobs.ledger.records import NewRun
from jobs.models import Base, JobRun, JsonText, UtcDateTime
from jobs.sql import Batch, Executor, dialect_of, ledger_now, plus_seconds
from jobs.states import RunState

_PLAIN: dict[str, TypeEngine[Any]] = {
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
}
_GIVEN: dict[str, TypeEngine[Any]] = {
    "delay_seconds": Float(),
    "run_at": UtcDateTime(),
    "expires_seconds": Float(),
    "expires_at": UtcDateTime(),
    "scheduled_for": UtcDateTime(),
}
_JSON = frozenset({"arguments", "tags"})
# The table, not the class: with a Session the latter would make an ORM bulk insert, with other rules.
_RUNS = Base.metadata.tables[JobRun.__tablename__]
_BATCH = Batch("new", **_PLAIN, **_GIVEN)


def insert_runs(session: Executor, runs: Sequence[NewRun], *, now: datetime | None = None) -> None:
    """Insert ``runs`` as queued, in one statement."""
    if len(runs) == 1:
        session.execute(_one(), {**{name: getattr(runs[0], name) for name in _BATCH.columns}, "now": now})
        return
    dialect = dialect_of(session)
    session.execute(_many(dialect), {**_BATCH.rows(dialect, [_row(run) for run in runs]), "now": now})


@cache
def _one() -> Insert:
    values: dict[str, Any] = {
        name: cast(bindparam(name, type_=Text()), JsonText) if name in _JSON else bindparam(name, type_=kind)
        for name, kind in _PLAIN.items()
    }
    return insert(_RUNS).values(
        **values, **_moments({name: bindparam(name, type_=kind) for name, kind in _GIVEN.items()})
    )


@cache
def _many(dialect: str) -> Insert:
    new = _BATCH.table(dialect)
    columns: dict[str, Any] = {name: cast(new.c[name], JsonText) if name in _JSON else new.c[name] for name in _PLAIN}
    columns |= _moments(dict(new.c))
    return insert(_RUNS).from_select(list(columns), select(*columns.values()), include_defaults=False)


def _moments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Every moment of a new run is reckoned by the ledger's clock, unless the caller named it."""
    run_at = func.coalesce(given["run_at"], plus_seconds(ledger_now(), given["delay_seconds"]), type_=UtcDateTime())
    lapse = plus_seconds(ledger_now(), given["expires_seconds"])
    return {
        "run_at": run_at,
        "expires_at": func.coalesce(given["expires_at"], lapse, type_=UtcDateTime()),
        "scheduled_for": given["scheduled_for"],
        "created_at": ledger_now(),
        "state_at": ledger_now(),
        "state": literal(RunState.QUEUED.value),
        **{name: literal(0) for name in ("attempt", "charged", "crashes", "abandonments")},
    }


def _row(run: NewRun) -> tuple[Any, ...]:
    return tuple(getattr(run, name) for name in _BATCH.columns)
