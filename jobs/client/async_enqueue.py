"""Enqueues a job for a coroutine: what has to wait for a store or the ledger to make its run, does so on a thread."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from jobs.definition.max_waiting import OnFull
from jobs.ledger.records import NewRun
from jobs.runtime.context import enclosing_session
from jobs.storage.finding import written
from jobs.storage.packing import may_be_large

if TYPE_CHECKING:
    from jobs.app import App
    from jobs.database.transactions.joining import AsyncSessionLike
    from jobs.enqueue.write_path import Enqueued


async def enqueue_job(
    app: App,
    job: Any,
    *,
    session: AsyncSessionLike | None,
    on_full: OnFull | None,
    full_timeout: timedelta | None,
    make: Callable[[], NewRun],
    enqueue_in: Callable[[Any], Enqueued],
) -> Enqueued:
    """Enqueue ``job``. Takes and raises the same as ``Job.enqueue_async``.

    Args:
        make: makes the run of ``job``.
        enqueue_in: enqueues it in a transaction, for which it is given what a plain call takes.
    """
    from jobs.enqueue.room import Full

    full = Full(on_full, full_timeout)
    is_large = app.settings.store_above is not None and may_be_large(app, job)
    if is_large and session is None:
        session = enclosing_session()
    if session is None:
        from jobs.enqueue.write_path import enqueue_run_async

        if is_large or job._stored_fields or (job._sealing is not None and job._sealing.subject is not None):
            from jobs.runtime.off_loop import off_loop

            # Content goes to its store, and the key of a subject comes from the ledger.
            run = await off_loop(make)
        else:
            run = make()
        return await enqueue_run_async(app, run, full=full)
    from jobs.database.transactions.coroutines import call_in

    if job._stored_fields:
        from jobs.runtime.off_loop import off_loop

        await off_loop(written, app, job)
    if is_large and app.database.dialect != "sqlite":
        from jobs.enqueue.write_path import enqueue_runs
        from jobs.runtime.off_loop import off_loop

        run = await off_loop(make)
        return (await call_in(session, lambda plain: enqueue_runs(app, [run], session=plain, full=full)))[0]
    return await call_in(session, enqueue_in)
