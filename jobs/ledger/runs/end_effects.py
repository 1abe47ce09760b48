"""What the ends of runs cause, in the transaction that ends them: follow-ups, and the counts of batches."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Update, Uuid, and_, or_, select, update

from jobs.database.models import JobFollowup, JobParent, JobRun
from jobs.database.sql import Executor, RowBatch, dialect_of, ledger_now, one_of
from jobs.errors import KeyConflict
from jobs.ledger.admission.keys import admit
from jobs.ledger.batches.counts import count_ended, count_succeeded
from jobs.ledger.batches.parents import after_ends
from jobs.ledger.effects.followups import ENDED, UNREADABLE, read_followup
from jobs.ledger.records import Freed
from jobs.states import FINAL

log = logging.getLogger("jobs.ledger")

_IDS = RowBatch("wanted", id=Uuid())


def apply_end_effects(
    session: Executor, run_ids: Sequence[UUID], *, lock: Sequence[UUID] = (), now: datetime | None = None
) -> dict[UUID, list[Freed]]:
    """Do what the ends of ``run_ids`` cause, which entered a final state in this transaction and have effects.

    Enqueues their follow-ups, and counts them in their batches. Returns the runs that this made ready, by the run that
    ended; publish them after the commit.

    Args:
        lock: batches that the caller is about to read, to be locked in the order of all others.
    """
    if not run_ids and not lock:
        return {}
    freed = _enqueue_followups(session, run_ids, now=now) if run_ids else {}
    _add(freed, count_ended(session, run_ids, lock=lock, now=now))
    if run_ids:
        _free_dependents(session, run_ids, freed, now)
    return freed


def apply_successes(
    session: Executor, batch_of: Mapping[UUID, UUID], *, now: datetime | None = None
) -> dict[UUID, list[Freed]]:
    """``apply_end_effects`` for runs that have all succeeded and are all members, by their batches."""
    run_ids = list(batch_of)
    dialect = dialect_of(session)
    if not session.scalar(_has_more(dialect), _IDS.rows(dialect, [(one,) for one in run_ids])):
        return count_succeeded(session, batch_of, now=now)
    freed = _enqueue_followups(session, run_ids, now=now)
    _add(freed, count_succeeded(session, batch_of, now=now))
    _free_dependents(session, run_ids, freed, now)
    return freed


def _free_dependents(
    session: Executor, run_ids: Sequence[UUID], freed: dict[UUID, list[Freed]], now: datetime | None
) -> None:
    """Free or cancel the runs that wait for these, and add to ``freed`` those that became ready."""
    ready, cancelled = after_ends(session, run_ids, now=now)
    _add(freed, ready)
    _add(freed, apply_end_effects(session, cancelled, now=now))


def _add(freed: dict[UUID, list[Freed]], more: Mapping[UUID, Sequence[Freed]]) -> None:
    for run_id, some in more.items():
        freed.setdefault(run_id, []).extend(some)


def _enqueue_followups(
    session: Executor, run_ids: Sequence[UUID], *, now: datetime | None = None
) -> dict[UUID, list[Freed]]:
    """Enqueue the follow-ups of ``run_ids``, which entered a final state in this transaction; by run that ended.

    Each follow-up is enqueued once, however often its run is replayed and ends. If a run already holds its key, the
    follow-up is dropped: its work is being done by that run.
    """
    dialect = dialect_of(session)
    due = session.execute(_due(dialect), _IDS.rows(dialect, [(one,) for one in run_ids])).all()
    if not due:
        return {}
    session.execute(_mark(dialect), {**_IDS.rows(dialect, [(row.id,) for row in due]), "now": now})
    freed: dict[UUID, list[Freed]] = {}
    for row in due:
        try:
            run = read_followup(row, parent_id=row.run_id, root_id=row.root_id or row.run_id)
        except UNREADABLE as error:
            # It must not keep the run from ending.
            log.error("Follow-up cannot be read", extra={"followup": str(row.id), "reason": str(error)})
            continue
        try:
            is_new = admit(session, [run], now=now)[0].created
        except KeyConflict as error:
            log.warning("Follow-up dropped", extra={"kind": run.kind, "reason": error.message})
            is_new = False
        if is_new:
            freed.setdefault(row.run_id, []).append(Freed(run.id, run.queue, run.priority, None))
    return freed


@cache
def _has_more(dialect: str) -> Select[bool]:
    """Whether anything but its batch waits for one of these runs: follow-ups, or runs that start after it."""
    wanted = select(_IDS.table(dialect).c.id)
    followup = select(JobFollowup.id).where(one_of(dialect, JobFollowup.run_id, wanted)).exists()
    dependent = select(JobParent.run_id).where(one_of(dialect, JobParent.parent_id, wanted)).exists()
    return select(or_(followup, dependent))


@cache
def _due(dialect: str) -> Select[Any]:
    wanted = _IDS.table(dialect).c
    has_ended = and_(JobFollowup.on_state == ENDED, JobRun.state.in_(sorted(FINAL)))
    return (
        select(JobFollowup.id, JobFollowup.run_id, JobFollowup.run, JobRun.root_id, JobRun.correlation_id)
        .join(JobRun, JobRun.id == JobFollowup.run_id)
        .where(
            JobFollowup.run_id.in_(select(wanted.id)),
            JobFollowup.enqueued_at.is_(None),
            or_(JobFollowup.on_state == JobRun.state, has_ended),
        )
        .order_by(JobFollowup.id)
    )


@cache
def _mark(dialect: str) -> Update:
    wanted = _IDS.table(dialect).c
    return update(JobFollowup).where(JobFollowup.id.in_(select(wanted.id))).values(enqueued_at=ledger_now())
