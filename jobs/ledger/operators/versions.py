"""A run's state columns before and after an operator's action, and undo if they have not changed since.

Every function that moves a run writes ``state_at``, so the state columns together are the run's version: a run that was
replayed, performed and died again has a new version, although its state is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Update, Uuid, bindparam, select, update
from sqlalchemy.exc import IntegrityError

from jobs.database.models import JobRun, UtcDateTime, aliased
from jobs.database.sql import Executor, RowBatch, dialect_of
from jobs.ledger.batches.counts import count_moved, members_of_batches
from jobs.ledger.batches.parents import wait_again
from jobs.ledger.holds import NOT_HELD, due_again
from jobs.ledger.operators.audit import AuditEntry
from jobs.states import LIVE, RunState

_PARTS = (
    "state", "cause", "attempt", "charged", "crashes", "abandonments", "queue", "priority", "run_at", "expires_at",
    "finished_at", "state_at", "cancel_requested_at", "cancel_reason", "worker", "deleted_at",
)  # fmt: skip
_VERSION = (
    "state", "attempt", "queue", "priority", "run_at", "state_at", "cancel_requested_at", "deleted_at",
)  # fmt: skip
_COLUMNS = {name: getattr(JobRun, name) for name in _PARTS}
_READ = {**_COLUMNS, "run_at": due_again().label("run_at")}
"""A held run is put back as one that is due: the next claim holds it again if it must still wait."""
_MOMENTS = frozenset(name for name, column in _COLUMNS.items() if isinstance(column.type, UtcDateTime))
_BACK = RowBatch("back", id=Uuid(), **{name: column.type for name, column in _COLUMNS.items()})

Version = Mapping[str, Any]
"""The state columns of a run as plain values: moments as ISO text, in UTC."""


def versions(session: Executor, run_ids: Sequence[UUID], *, lock: bool = False) -> dict[UUID, Version]:
    """The versions of these runs; ``lock`` locks them until the transaction ends."""
    query = select(JobRun.id, *_READ.values()).where(JobRun.id.in_(list(run_ids))).order_by(JobRun.id)
    if lock:
        # In the order of ids, as settling locks them too.
        query = query.with_for_update(of=JobRun)
    return {row.id: {name: _written(getattr(row, name)) for name in _PARTS} for row in session.execute(query)}


def put_back(session: Executor, notes: Sequence[AuditEntry], held: Mapping[UUID, Version]) -> dict[UUID, str | None]:
    """Restore each run's earlier version, if the action's version is still current. By run: None, or why not.

    ``held`` holds the current versions, locked. Never touches a lease: a running run keeps running, and only loses a
    request to cancel it.
    """
    found: dict[UUID, str | None] = {}
    moved: list[AuditEntry] = []
    running: list[UUID] = []
    for one in notes:
        now = held.get(one.run_id)
        if one.before is None or one.after is None or now is None:
            found[one.run_id] = "it is gone"
        elif any(now[name] != one.after[name] for name in _VERSION):
            found[one.run_id] = "it has moved since"
        elif one.before["state"] != RunState.RUNNING:
            moved.append(one)
        elif one.after["state"] != RunState.RUNNING:
            found[one.run_id] = "it was running, and has been stopped"
        else:
            running.append(one.run_id)
            found[one.run_id] = None
    if running:
        session.execute(
            update(JobRun).where(JobRun.id.in_(running)).values(cancel_requested_at=None, cancel_reason=None)
        )  # fmt: skip
    return found | _write_back(session, moved)


def _write_back(session: Executor, notes: Sequence[AuditEntry]) -> dict[UUID, str | None]:
    """In one statement; a run whose key another run holds is left out; one by one if some fail."""
    busy = key_holders(session, [one.run_id for one in notes if one.before and one.before["state"] in LIVE])
    found: dict[UUID, str | None] = dict.fromkeys(busy, "its key is held by another run now")
    free = [one for one in notes if one.run_id not in busy]
    if not free:
        return found
    dialect = dialect_of(session)
    for batch in (free, *([one] for one in free)):
        left = [one for one in batch if one.run_id not in found]
        if not left:
            continue
        rows = [(one.run_id, *(_read(name, (one.before or {})[name]) for name in _PARTS)) for one in left]
        try:
            with session.begin_nested():
                members = members_of_batches(session, [one.run_id for one in left])
                session.execute(_back(dialect), _BACK.rows(dialect, rows))
                states = {one.run_id: (one.before or {})["state"] for one in left}
                count_moved(session, [(batch, now, states[run_id]) for run_id, (batch, now) in members.items()])
                wait_again(session, [one.run_id for one in left])
        except IntegrityError:
            # Another transaction enqueued with a key between our look and our write: write each run alone.
            if len(batch) == 1:
                found[batch[0].run_id] = "its key is held by another run now"
        else:
            found.update((one.run_id, None) for one in left)
    return found


@cache
def _back(dialect: str) -> Update:
    back = _BACK.table(dialect).c
    return (
        update(JobRun)
        .where(JobRun.id == back.id, _BACK.among(dialect, JobRun.id, "id"))
        .values({**NOT_HELD, **{name: back[name] for name in _PARTS}})
    )


def key_holders(session: Executor, run_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """For each run whose key another live run holds: that run."""
    return {row[0]: row[1] for row in session.execute(_key_holders(), {"run_ids": list(run_ids)})}


@cache
def _key_holders() -> Select[UUID, UUID]:
    other = aliased(JobRun)
    has_same_key = (other.kind == JobRun.kind) & (other.key == JobRun.key) & (other.id != JobRun.id)
    asked = JobRun.id.in_(bindparam("run_ids", expanding=True))
    keyed = select(JobRun.id, other.id).join(other, has_same_key).where(asked, JobRun.key.is_not(None))
    return keyed.where(other.state.in_(sorted(LIVE)))


def _written(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return value


def _read(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if name in _MOMENTS and value is not None else value
