"""Versions: how a run stood before and after an operator's action, and back again where nothing moved since.

Every verb that moves a run writes ``state_at``, so the moving parts together are the run's version: a run that was
replayed, performed and has died once more is not what the action left, though its state is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from jobs.models import JobRun, UtcDateTime
from jobs.sql import Executor
from jobs.states import LIVE, RunState

_PARTS = (
    "state", "cause", "attempt", "charged", "crashes", "abandonments", "queue", "priority", "run_at", "expires_at",
    "finished_at", "state_at", "cancel_requested_at", "cancel_reason", "worker", "deleted_at",
)  # fmt: skip
_VERSION = (
    "state", "attempt", "queue", "priority", "run_at", "state_at", "cancel_requested_at", "deleted_at",
)  # fmt: skip
_COLUMNS = {name: getattr(JobRun, name) for name in _PARTS}
_MOMENTS = frozenset(name for name, column in _COLUMNS.items() if isinstance(column.type, UtcDateTime))

Version = Mapping[str, Any]
"""The moving parts of a run as plain values: moments as ISO text, in UTC."""


def versions(session: Executor, run_ids: Sequence[UUID], *, lock: bool = False) -> dict[UUID, Version]:
    """How these runs stand; with ``lock``, nobody else moves them until the transaction ends."""
    query = select(JobRun.id, *_COLUMNS.values()).where(JobRun.id.in_(list(run_ids))).order_by(JobRun.id)
    if lock:
        # In the order of ids, as settling locks them too.
        query = query.with_for_update(of=JobRun)
    return {row.id: {name: _written(getattr(row, name)) for name in _PARTS} for row in session.execute(query)}


def put_back(session: Executor, run_id: UUID, *, before: Version, after: Version) -> str | None:
    """Make a run what it was ``before``, if it is still what the action left. None, or why it is not.

    Never touches a lease: a run that is running keeps running, and only loses a request to cancel it.
    """
    is_running = before["state"] == RunState.RUNNING
    if is_running:
        values: dict[str, Any] = {"cancel_requested_at": None, "cancel_reason": None}
    else:
        values = {name: _read(name, before[name]) for name in _PARTS}
    still: list[ColumnElement[bool]] = [
        _COLUMNS[name].is_not_distinct_from(_read(name, after[name])) for name in _VERSION
    ]
    if is_running and after["state"] != RunState.RUNNING:
        return "it was running, and has been stopped"
    try:
        with session.begin_nested():
            moved = session.execute(
                update(JobRun).where(JobRun.id == run_id, *still).values(**values).returning(JobRun.id)
                .execution_options(synchronize_session=False)
            ).one_or_none()  # fmt: skip
    except IntegrityError:
        return "its key is held by another run now"
    return None if moved is not None else "it has moved since"


def key_holders(session: Executor, run_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """For each run whose key another live run holds: that run."""
    other = aliased(JobRun)
    rows = session.execute(
        select(JobRun.id, other.id)
        .join(other, (other.kind == JobRun.kind) & (other.key == JobRun.key) & (other.id != JobRun.id))
        .where(JobRun.id.in_(list(run_ids)), JobRun.key.is_not(None), other.state.in_(sorted(LIVE)))
    )
    return {row[0]: row[1] for row in rows}


def _written(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return value


def _read(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if name in _MOMENTS and value is not None else value
