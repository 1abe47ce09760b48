"""Callbacks of batches: follow-ups whose rows name the batch instead of a run, each enqueued once a generation."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update

from jobs.clock import new_run_id
from jobs.database.models import JobBatch, JobFollowup
from jobs.database.sql import Executor, ledger_now
from jobs.errors import KeyConflict
from jobs.formats.stored_reference import blobs_in
from jobs.ledger.admission.keys import admit
from jobs.ledger.blobs.references import hold_possible
from jobs.ledger.effects.followups import UNREADABLE, read_followup, write_followups
from jobs.ledger.records import FollowUp, Freed, NewRun
from jobs.ledger.resealing import reseal

log = logging.getLogger("jobs.ledger")


def fire(
    session: Executor,
    batch_id: UUID,
    states: Sequence[str],
    *,
    generation: int,
    parent_id: UUID | None,
    now: datetime | None = None,
) -> list[Freed]:
    """Enqueue the callbacks of a batch for these states that were not enqueued yet. Its row is locked."""
    rows = session.execute(
        select(JobFollowup.id, JobFollowup.run, JobFollowup.kind, JobBatch.correlation_id)
        .join(JobBatch, JobBatch.id == JobFollowup.run_id)
        .where(
            JobFollowup.run_id == batch_id, JobFollowup.on_state.in_(list(states)), JobFollowup.enqueued_at.is_(None)
        )
        .order_by(JobFollowup.id)
    ).all()
    if not rows:
        return []
    session.execute(
        update(JobFollowup)
        .where(JobFollowup.id.in_([row.id for row in rows]))
        .values(enqueued_at=ledger_now(), generation=generation),
        {"now": now},
    )
    freed = []
    for row in rows:
        try:
            run = read_followup(row, parent_id=parent_id, root_id=parent_id)
        except UNREADABLE as error:
            log.error("Callback of a batch cannot be read", extra={"followup": str(row.id), "reason": str(error)})
            continue
        try:
            is_new = admit(session, [run], now=now)[0].created
        except KeyConflict as error:
            log.warning("Callback of a batch dropped", extra={"kind": run.kind, "reason": error.message})
            is_new = False
        if is_new:
            freed.append(Freed(run.id, run.queue, run.priority, None))
    return freed


def renew_callbacks(session: Executor, batch_id: UUID, *, generation: int, now: datetime | None = None) -> None:
    """Let callbacks be enqueued again, as rows of their own, because their batch was reopened as ``generation``."""
    rows = session.execute(
        select(JobFollowup.id, JobFollowup.on_state, JobFollowup.run)
        .where(
            JobFollowup.run_id == batch_id,
            JobFollowup.enqueued_at.is_not(None),
            JobFollowup.generation == generation - 1,
        )
        .order_by(JobFollowup.id)
    ).all()
    again = []
    for row in rows:
        try:
            run = NewRun(**row.run, id=new_run_id())
            run.arguments = reseal.get()(run.arguments, row.id, run.id)
            run.blobs = blobs_in(run.arguments)
            again.append((batch_id, FollowUp(row.on_state, run)))
        except TypeError as error:
            log.error("Callback of a batch cannot be read", extra={"batch": str(batch_id), "reason": str(error)})
    refused = hold_possible(session, [one.run for _, one in again], now=now)
    for _ in refused:
        log.error("Callback of a batch dropped, whose stored value was removed", extra={"batch": str(batch_id)})
    write_followups(session, [one for one in again if one[1].run.id not in refused], now=now)


def batch_of_callback(session: Executor, run_id: UUID) -> tuple[UUID, int] | None:
    """The batch whose end enqueued this run, and its generation then; None if the run is no callback."""
    row = session.execute(
        select(JobFollowup.run_id, JobFollowup.generation)
        .join(JobBatch, JobBatch.id == JobFollowup.run_id)
        .where(JobFollowup.id == run_id)
    ).one_or_none()
    return None if row is None else (row.run_id, row.generation)
