"""References of runs to values: written before the row of the run and in its transaction, forgotten with it.

Who adds a reference locks the value's row, and so does the collector. So the collector sees the reference; or it was
first, the value is removed, and the reference is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Float, Uuid, bindparam, delete, literal_column, select, update

from jobs.database.models import JobBlob, JobBlobRef, JobFollowup
from jobs.database.sql import Executor, RowBatch, dialect_of, insert_into, ledger_now, plus_seconds
from jobs.ledger.blobs.blob_errors import StoredMissing
from jobs.ledger.records import NewRun

CHECK_EVERY = timedelta(days=1)
"""How often somebody looks whether the run of a reference is still there: retention of history drops runs with their
partition. Source: decision."""
_REFS = RowBatch("refs", run_id=Uuid(), blob_id=Uuid())


def hold(session: Executor, runs: Iterable[NewRun], *, now: datetime | None = None) -> None:
    """Record what ``runs``, which are about to be inserted in this transaction, and their follow-ups refer to.

    Raises:
        StoredMissing: a value was removed, or is not complete; nothing was written.
    """
    pairs = _pairs(runs)
    if pairs:
        hold_pairs(session, pairs, now=now)


def hold_possible(session: Executor, runs: Sequence[NewRun], *, now: datetime | None = None) -> set[UUID]:
    """``hold`` for those of ``runs`` whose values, and those of their follow-ups, are all there. Returns the ids of the
    others."""
    pairs = {run.id: _pairs([run]) for run in runs}
    wanted = {blob for some in pairs.values() for _, blob in some}
    if not wanted:
        return set()
    usable = _lock_usable(session, wanted)
    refused = {run_id for run_id, some in pairs.items() if not usable.issuperset(blob for _, blob in some)}
    _add(session, [pair for run_id, some in pairs.items() if run_id not in refused for pair in some], now=now)
    return refused


def hold_pairs(session: Executor, pairs: Sequence[tuple[UUID, UUID]], *, now: datetime | None = None) -> None:
    """Record that these runs, first of each pair, refer to these values. Raises the same as ``hold``."""
    wanted = {blob for _, blob in pairs}
    missing = wanted - _lock_usable(session, wanted)
    if missing:
        raise missing_error(min(missing))
    _add(session, pairs, now=now)


def _pairs(runs: Iterable[NewRun]) -> list[tuple[UUID, UUID]]:
    """Each run with each value that it refers to; their follow-ups too."""
    return [(run.id, blob) for run in _with_followups(runs) for blob in run.blobs]


def _add(session: Executor, pairs: Sequence[tuple[UUID, UUID]], *, now: datetime | None) -> None:
    """Write references to values whose rows are locked."""
    if not pairs:
        return
    dialect = dialect_of(session)
    given = {**_REFS.rows(dialect, sorted(set(pairs))), "now": now, "check_seconds": CHECK_EVERY.total_seconds()}
    session.execute(_insert(dialect), given)


def _lock_usable(session: Executor, wanted: Set[UUID]) -> set[UUID]:
    """Those of the values that runs may refer to, locked so that they are not removed before the transaction ends."""
    usable = (
        select(JobBlob.id)
        .where(JobBlob.id.in_(sorted(wanted)), JobBlob.size.is_not(None), JobBlob.removed_at.is_(None))
        .order_by(JobBlob.id)
        .with_for_update(read=True, key_share=True)
    )
    return set(session.scalars(usable))


def forget(session: Executor, run_ids: Sequence[UUID], *, now: datetime | None = None) -> None:
    """Forget what runs refer to that are deleted or erased; values without references are removed soon after."""
    forgotten = delete(JobBlobRef).where(JobBlobRef.run_id.in_(list(run_ids))).returning(JobBlobRef.blob_id)
    release(session, list(session.scalars(forgotten)), now=now)


def forget_erased(session: Executor, run_ids: Sequence[UUID], *, now: datetime | None = None) -> None:
    """Forget what erased runs, and follow-ups of theirs that wait, refer to. Call it before their follow-ups go."""
    waiting = select(JobFollowup.id).where(
        JobFollowup.run_id.in_(list(run_ids)), JobFollowup.enqueued_at.is_(None)
    )  # fmt: skip
    forget(session, [*run_ids, *session.scalars(waiting)], now=now)


def replace_held(session: Executor, run: NewRun, *, now: datetime | None = None) -> None:
    """Let a waiting run refer to the values of ``run``, whose arguments it takes, and to no others."""
    if run.blobs:
        forget(session, [run.id], now=now)
        hold_pairs(session, [(run.id, blob) for blob in run.blobs], now=now)


def release(session: Executor, blob_ids: Sequence[UUID], *, now: datetime | None = None) -> None:
    """Let the collector look at values that have lost a reference."""
    if blob_ids:
        ids = sorted(set(blob_ids))
        # Locked in the order of ids, so that two callers cannot deadlock.
        session.execute(
            select(JobBlob.id).where(JobBlob.id.in_(ids)).order_by(JobBlob.id).with_for_update(key_share=True)
        )
        session.execute(update(JobBlob).where(JobBlob.id.in_(ids)).values(collect_at=ledger_now()), {"now": now})


def missing_error(blob_id: UUID) -> StoredMissing:
    """The error of a value that nobody can refer to."""
    return StoredMissing(
        f"The stored value {blob_id} is not in the ledger: it was removed, since no run referred to it.",
        blob_id=blob_id,
        hint="Make it again from its source.",
    )


def _with_followups(runs: Iterable[NewRun]) -> Iterable[NewRun]:
    for run in runs:
        yield run
        for one in run.followups:
            yield from _with_followups([one.run])


@cache
def _insert(dialect: str) -> Any:
    new = _REFS.table(dialect).c
    check_at = plus_seconds(ledger_now(), bindparam("check_seconds", type_=Float()))
    # SQLite reads ON after a SELECT without WHERE as the condition of a join.
    rows = select(new.run_id, new.blob_id, check_at).where(literal_column("1 = 1"))
    made = insert_into(dialect, JobBlobRef).from_select(["run_id", "blob_id", "check_at"], rows)
    return made.on_conflict_do_nothing()
