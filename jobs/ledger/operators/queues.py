"""Queues and kinds: their names, and their pauses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Integer, Select, bindparam, insert, literal_column, select, update
from sqlalchemy.exc import IntegrityError

from jobs.database.models import JobKind, JobQueue, JobRun
from jobs.database.sql import Executor
from jobs.ledger.pauses import is_in_force
from jobs.ledger.queries.plan_parts import ended_names, waiting_names
from jobs.ledger.workers import live


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseRecord:
    """A pause of a queue or a kind, as read."""

    name: str
    paused_at: datetime
    paused_until: datetime | None
    paused_by: str | None
    pause_reason: str | None


_TABLES: dict[str, type[JobQueue] | type[JobKind]] = {"queue": JobQueue, "kind": JobKind}
_PAUSE = ("paused_at", "paused_until", "paused_by", "pause_reason")


def pauses(
    session: Executor, what: str = "queue", *, now: datetime | None = None, limit: int = 10_000
) -> dict[str, PauseRecord]:
    """The pauses of queues or kinds that are in force now, by name."""
    rows = session.execute(_pauses(what), {"most": limit, "now": now})
    return {row.name: PauseRecord(**row._mapping) for row in rows}


@cache
def _pauses(what: str) -> Select[Any]:
    table = _TABLES[what]
    columns = (getattr(table, name) for name in _PAUSE)
    return select(table.name, *columns).where(is_in_force(table)).limit(bindparam("most", type_=Integer()))


def pause_of(session: Executor, what: str, name: str) -> dict[str, Any] | None:
    """The pause of a queue or kind as plain values, over or not; None if there is none."""
    table = _TABLES[what]
    row = session.execute(select(*(getattr(table, one) for one in _PAUSE)).where(table.name == name)).one_or_none()
    if row is None or row.paused_at is None:
        return None
    return {
        one: value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value
        for one, value in row._mapping.items()
    }


def set_pause(session: Executor, what: str, name: str, pause: Mapping[str, Any] | None) -> None:
    """Set the pause of a queue or kind; None ends it. While it is in force, no run of it is claimed."""
    table = _TABLES[what]
    if pause is not None:
        make_row(session, table, name)
    values = {one: None if pause is None else _read(pause[one], one) for one in _PAUSE}
    session.execute(update(table).where(table.name == name).values(**values))


def make_row(session: Executor, table: type[JobQueue] | type[JobKind], name: str) -> None:
    """Insert the row of a queue or kind, if it has none."""
    if session.scalar(select(table.name).where(table.name == name)) is not None:
        return
    try:
        with session.begin_nested():
            session.execute(insert(table).values(name=name))
    except IntegrityError:
        # Another operator wrote the row between our look and our insert.
        pass


def _read(value: Any, name: str) -> Any:
    return datetime.fromisoformat(value) if value is not None and name in ("paused_at", "paused_until") else value


def names_in_use(session: Executor, *, now: datetime | None = None) -> tuple[set[str], set[str]]:
    """Every queue and every kind that a run has, or that a live worker serves or knows; paused queues too."""
    queues, kinds = set(pauses(session, now=now)), set(pauses(session, "kind", now=now))
    for _, queue, kind in ended_names(session):
        queues.add(queue)
        kinds.add(kind)
    running = select(JobRun.kind, JobRun.queue).where(JobRun.state == literal_column("'running'")).distinct()
    for kind, queue in [*waiting_names(session), *((row[0], row[1]) for row in session.execute(running.limit(10_000)))]:
        queues.add(queue)
        kinds.add(kind)
    for worker in live(session, now=now):
        queues |= set(worker.queues)
        kinds |= set(worker.kinds)
    return queues, kinds
