"""The children of one ``gather``: made once, counted in a batch of their own, and read in their order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Integer,
    Select,
    String,
    Text,
    Update,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    null,
    select,
    update,
)

from jobs.database.models import JobBatch, JobRun
from jobs.database.sql import Executor, dialect_of, insert_into, ledger_now
from jobs.errors import KeyConflict
from jobs.formats.uuid_of_number import uuid_of_number
from jobs.ledger.admission.admit_members import admit_members
from jobs.ledger.batches.counts import GATHER
from jobs.ledger.effects.steps import lease_lost
from jobs.ledger.records import NewRun
from jobs.states import RunState

MAX_CHILDREN = 100_000
"""Children of one ``gather``. Source: decision; their results are one list in memory."""


@dataclass(frozen=True, slots=True)
class GatherState:
    """The batch of a gather: whether all children were made, and whether all have ended."""

    total: int
    is_sealed: bool
    is_over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A child, a member of a batch, or a parent, as read. ``result`` is what it returned, if it succeeded."""

    id: UUID
    kind: str
    state: RunState
    result: Any
    error_type: str | None
    error_message: str | None

    @property
    def has_succeeded(self) -> bool:
        return self.state is RunState.SUCCEEDED


def child_ids(gather_id: UUID) -> Callable[[int], UUID]:
    """A function that gives the id of a child by its position: a uuid7, whose order is that of the positions.

    The ids must never change: a worker of one release goes on with a gather that another's has begun.
    """
    start = gather_id.int >> 80 << 80 | 7 << 76 | 0b10 << 62
    begun = hashlib.blake2b(gather_id.bytes, digest_size=8)

    def child_id(position: int) -> UUID:
        # From a copy of the begun digest: it takes half as long, for each of ten thousand children.
        digest = begun.copy()
        digest.update(position.to_bytes(4, "big"))
        last = (position & 0xFF) << 54 | int.from_bytes(digest.digest(), "big") >> 10
        return uuid_of_number(start | (position >> 8 & 0xFFF) << 64 | last)

    return child_id


def open_gather(
    session: Executor,
    run_id: UUID,
    token: UUID,
    step: str,
    gather_id: UUID,
    *,
    enqueued_by: str | None,
    correlation_id: str | None,
    now: datetime | None = None,
) -> GatherState:
    """The batch of a gather, made if it does not exist yet. Locks the run's row, so that it keeps its lease meanwhile.

    Raises:
        LeaseLost: another attempt has the run.
    """
    values = {"of_run": run_id, "by_token": token, "gather": gather_id, "called": step, "now": now}
    more = {"by_whom": enqueued_by, "correlation": correlation_id}
    session.execute(_open(dialect_of(session)), values | more)
    return look_at_gather(session, run_id, token, gather_id)


def look_at_gather(session: Executor, run_id: UUID, token: UUID, gather_id: UUID) -> GatherState:
    """``open_gather`` for one that exists."""
    row = session.execute(_look(), {"of_run": run_id, "by_token": token, "gather": gather_id}).one_or_none()
    if row is None:
        raise lease_lost(run_id)
    return GatherState(row.total, row.sealed_at is not None, row.ended_at is not None)


def add_children(
    session: Executor,
    gather_id: UUID,
    children: Sequence[NewRun],
    *,
    may_exist: bool,
    is_last: bool,
    now: datetime | None = None,
) -> GatherState:
    """Insert those of ``children``, in the order of their positions, that do not exist yet, and count them.

    Args:
        may_exist: an earlier attempt may have made some.
        is_last: no others follow, so the gather ends with the last of its children.

    Raises:
        KeyConflict: another run holds the key of a child, so the child cannot be made.
    """
    new = _missing(session, gather_id, children) if may_exist and children else children
    for one, admitted in zip(new, admit_members(session, new, may_copy=True, now=now), strict=True):
        if admitted.run is not one and admitted.run.id != one.id:
            raise KeyConflict(
                f"The key {one.key!r} of {one.kind} is held by run {admitted.run.id}, so it cannot be a child as well.",
                key=str(one.key), run_id=str(admitted.run.id), hint="Give each child a key of its own, or none.",
            )  # fmt: skip
    # Nothing follows from it, as from other changes of a batch: it is open, and no batch is around it.
    row = session.execute(_grow(), {"gather": gather_id, "more": len(new), "is_last": is_last, "now": now}).one()
    return GatherState(row.total, is_sealed=row.sealed_at is not None, is_over=row.ended_at is not None)


def _missing(session: Executor, gather_id: UUID, children: Sequence[NewRun]) -> Sequence[NewRun]:
    # Their ids have the order of their positions, so one range of the index of members has them.
    span = {"gather": gather_id, "first": children[0].id, "last": children[-1].id}
    there = set(session.scalars(_existing(), span))
    return [one for one in children if one.id not in there] if there else children


def pending_children(session: Executor, run_id: UUID, step: str) -> tuple[int, int] | None:
    """How many children of a step have not ended, and how many there are; None if the step has made none."""
    row = session.execute(
        select(JobBatch.pending, JobBatch.total)
        .where(JobBatch.run_id == run_id, JobBatch.name == step, JobBatch.form == GATHER)
        .order_by(JobBatch.created_at.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else (row.pending, row.total)


def children_of(
    session: Executor, batch_id: UUID, *, after: UUID | None = None, limit: int | None = None
) -> list[Child]:
    """The members of a batch, in the order of their ids; ``after`` is the last of the previous page."""
    query = select(*CHILD_COLUMNS).where(JobRun.batch_id == batch_id)
    if after is not None:
        query = query.where(JobRun.id > after)
    return [child_of(row) for row in session.execute(query.order_by(JobRun.id).limit(limit))]


def results_of(session: Executor, batch_id: UUID) -> list[Any] | None:
    """The results of all members of a batch, in the order of their ids, if all have succeeded and can be read."""
    query = select(JobRun.state, cast(JobRun.result, Text)).where(JobRun.batch_id == batch_id).order_by(JobRun.id)
    rows = session.execute(query).all()
    if any(state != RunState.SUCCEEDED.value for state, _ in rows):
        return None
    # As one text: reading ten thousand small ones takes ten times as long.
    with suppress(ValueError, RecursionError):
        many: list[Any] = json.loads(f"[{','.join(['null' if text is None else text for _, text in rows])}]")
        if len(many) == len(rows):
            return many
    return None


CHILD_COLUMNS = (
    JobRun.id, JobRun.kind, JobRun.state, JobRun.result, JobRun.error_type, JobRun.error_message
)  # fmt: skip


def child_of(row: Any) -> Child:
    values = dict(zip(("id", "kind", "state", "result", "error_type", "error_message"), row, strict=True))
    state = RunState(values.pop("state"))
    if state is not RunState.SUCCEEDED:
        values["result"] = None
    return Child(state=state, **values)


_RUN, _TOKEN = bindparam("of_run", type_=Uuid()), bindparam("by_token", type_=Uuid())
_GATHER = bindparam("gather", type_=Uuid())


@cache
def _open(dialect: str) -> Any:
    columns: dict[str, Any] = {
        "id": _GATHER,
        "form": literal(GATHER),
        "name": bindparam("called", type_=String()),
        "run_id": JobRun.id,
        "depth": literal(0),
        "generation": literal(1),
        **dict.fromkeys(("total", "pending", "dead", "cancelled"), literal(0)),
        "created_at": ledger_now(),
        "enqueued_by": bindparam("by_whom", type_=String()),
        "correlation_id": bindparam("correlation", type_=String()),
    }
    ours = (
        select(*columns.values()).where(JobRun.id == _RUN, JobRun.token == _TOKEN).with_for_update(read=True, of=JobRun)
    )
    return (
        insert_into(dialect, JobBatch).from_select(list(columns), ours, include_defaults=False).on_conflict_do_nothing()
    )


@cache
def _look() -> Select[*tuple[Any, ...]]:
    return (
        select(JobBatch.total, JobBatch.sealed_at, JobBatch.ended_at)
        .join(JobRun, JobRun.id == JobBatch.run_id)
        .where(JobBatch.id == _GATHER, JobRun.id == _RUN, JobRun.token == _TOKEN)
        .with_for_update(read=True, of=JobRun)
    )


@cache
def _existing() -> Select[UUID]:
    first, last = bindparam("first", type_=Uuid()), bindparam("last", type_=Uuid())
    return select(JobRun.id).where(JobRun.batch_id == _GATHER, JobRun.id.between(first, last))


@cache
def _grow() -> Update:
    more, is_last = bindparam("more", type_=Integer()), bindparam("is_last", type_=Boolean())
    sealed_at = case((is_last, func.coalesce(JobBatch.sealed_at, ledger_now())), else_=JobBatch.sealed_at)
    is_over = and_(is_last, JobBatch.pending + more == 0)
    return (
        update(JobBatch)
        .where(JobBatch.id == _GATHER)
        .values(
            total=JobBatch.total + more,
            pending=JobBatch.pending + more,
            sealed_at=sealed_at,
            ended_at=case((is_over, func.coalesce(JobBatch.ended_at, ledger_now())), else_=null()),
        )
        .returning(JobBatch.total, JobBatch.sealed_at, JobBatch.ended_at)
    )
