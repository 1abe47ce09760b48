"""Enqueues many jobs in one transaction; answers come in their order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from jobs import boot
from jobs.client.job import Job, OnConflict
from jobs.database.ledger_connection import plain_async_session
from jobs.enqueue.write_path import Enqueued, enqueue_runs
from jobs.errors import EnqueueRefused, shown
from jobs.runtime.off_loop import off_loop

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session


class EnqueueManyOptions(TypedDict, total=False):
    """What ``enqueue_many_async`` takes, as ``enqueue_many`` does."""

    spread: timedelta | None
    delay: timedelta | None
    on_conflict: OnConflict
    tags: Sequence[str]


def enqueue_many(
    many: Iterable[Job],
    *,
    session: Session | None = None,
    spread: timedelta | None = None,
    delay: timedelta | None = None,
    on_conflict: OnConflict = "keep",
    tags: Sequence[str] = (),
) -> list[Enqueued]:
    """Record a run of each job, all in one transaction; answers in their order.

    Args:
        spread: let them become due evenly over this span, instead of all at once.
        on_conflict: as of ``Job.enqueue``, for jobs that have a key.

    Raises:
        ArgumentsRefused: a job's arguments; nothing was enqueued.
        EnqueueRefused: what is no job, or an option that cannot be; nothing was enqueued.
        KeyConflict: a key is held by a run with other arguments; nothing was enqueued.
        ServiceDown: the ledger does not answer; nothing was enqueued.
    """
    app = boot.current()
    many = _all_jobs(many)
    if spread is not None and (not isinstance(spread, timedelta) or spread < timedelta(0)):
        raise EnqueueRefused(f"spread= takes a timedelta of zero or more, got {shown(spread)}.")
    if delay is not None and not isinstance(delay, timedelta):
        raise EnqueueRefused(f"delay= takes a timedelta, got {shown(delay)}.")
    first = delay or timedelta(0)
    step = (spread / len(many)) if spread and many else timedelta(0)
    runs = [
        job.new_run(app, delay=first + place * step, on_conflict=on_conflict if _has_key(job) else "keep", tags=tags)
        for place, job in enumerate(many)
    ]
    return enqueue_runs(app, runs, session=session)


async def enqueue_many_async(
    many: Iterable[Job], *, session: AsyncSession | None = None, **terms: Unpack[EnqueueManyOptions]
) -> list[Enqueued]:
    """``enqueue_many`` for async callers: in an ``AsyncSession``'s transaction, or without holding up the loop.

    Without ``session=``, a call that is cancelled while it waits may have recorded its runs all the same: what has
    begun is not undone.
    """
    if session is None:
        return await off_loop(enqueue_many, many, **terms)
    return await plain_async_session(session).run_sync(lambda plain: enqueue_many(many, session=plain, **terms))


def _all_jobs(many: Any) -> list[Job]:
    # A job is iterable too: over its fields.
    found = list(many) if isinstance(many, Iterable) and not isinstance(many, Job) else None
    for job in [many] if found is None else found:
        if found is None or not isinstance(job, Job):
            raise EnqueueRefused(
                f"enqueue_many takes a list of jobs, got {shown(job)}.", hint="enqueue_many([SendMail(order_id=7)])"
            )
    return found or []


def _has_key(job: Job) -> bool:
    return type(job).idempotency_key is not Job.idempotency_key
