"""Finds, cancels and waits for runs by their id, for application code."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from jobs import boot
from jobs.app import App
from jobs.database.sql import Executor
from jobs.database.transactions.coroutines import call_in
from jobs.database.transactions.joining import joined
from jobs.enqueue.signal_path import publish_freed
from jobs.errors import NotEnded, NotFound
from jobs.ledger.effects.steps import StepRecord, list_steps
from jobs.ledger.queries import find as finding
from jobs.ledger.run_records import AttemptRecord, RunRecord
from jobs.ledger.runs.cancel import CancelledRuns, cancel_runs
from jobs.runtime import own_threads
from jobs.runtime.context import enclosing_session
from jobs.sealing.run_seal import opened
from jobs.states import FINAL, RunState
from jobs.storage.packing import in_clear

if TYPE_CHECKING:
    from jobs.database.transactions.joining import AsyncSessionLike, SessionLike

FIRST_LOOK, LAST_LOOK = 0.02, 0.5
"""First and longest wait in seconds between two looks at a run. Source: decision."""


def find(run_id: UUID | str) -> RunRecord:
    """The run with this id. What is sealed is opened, if this process has the class and the keys. Arguments and results
    that went to the store by themselves are read from there.

    Raises:
        NotFound: there is no such run.
        StoredMissing, StoredAltered: their content is not there, or is not what was stored.
        StoreDown: the store does not answer.
    """
    return _read(_found(run_id))


def _found(run_id: UUID | str) -> RunRecord:
    """The run as the ledger has it."""
    with boot.current().database.read() as connection:
        run = finding.find_run(connection, run_uuid(run_id))
    if run is None:
        raise NotFound(f"There is no run {run_id}.")
    return run


def _read(run: RunRecord) -> RunRecord:
    """The run with its arguments and result as its job knows them."""
    app = boot.current()
    return opened(app, in_clear(app, run))


def attempts(run_id: UUID | str) -> list[AttemptRecord]:
    """The attempts of a run, first to last; empty if it was never tried."""
    with boot.current().database.read() as connection:
        return finding.list_attempts(connection, run_uuid(run_id))


def cancel(run_id: UUID | str, *, reason: str | None = None, session: SessionLike | None = None) -> RunState:
    """Cancel a run: at once if it waits; if it is running, the worker interrupts its job.

    Args:
        session: cancel in the transaction of this session or connection, as ``enqueue`` does: only if it commits.

    Raises:
        NotFound: there is no such run, or it has ended.
        EnqueueRefused: ``session`` is invalid.
    """
    app, wanted = boot.current(), run_uuid(run_id)
    session = enclosing_session() if session is None else session
    if session is None:
        with app.database.write(urgent=True) as connection:
            states, freed = _cancel(app, connection, wanted, reason)
        publish_freed(app, freed)
    else:
        with joined(session, app.database) as transaction:
            states, freed = _cancel(app, transaction.connection, wanted, reason)
            transaction.after_commit(freed, partial(publish_freed, app))
    if wanted not in states:
        raise NotFound(f"There is no live run {run_id} to cancel.")
    return states[wanted]


def _cancel(app: App, session: Executor, run_id: UUID, reason: str | None) -> CancelledRuns:
    cancelled = cancel_runs(session, [run_id], reason=reason)
    if cancelled.freed:
        app.database.send_notify(session)
    return cancelled


def steps(run_id: UUID | str) -> list[StepRecord]:
    """The steps and cursors of a run, in the order in which they began."""
    with boot.current().database.read() as connection:
        return list_steps(connection, run_uuid(run_id))


def wait(run_id: UUID | str, *, limit: timedelta) -> RunRecord:
    """Wait until the run has ended (succeeded, dead or cancelled) and return it. Polls the ledger, less and less often.

    Raises:
        NotFound: there is no such run.
        NotEnded: it has not ended within ``limit``; the run is not cancelled.
    """
    clock = boot.current().clock
    until = clock.monotonic() + limit.total_seconds()
    pause = FIRST_LOOK
    while (run := _found(run_id)).state not in FINAL:
        left = until - clock.monotonic()
        if left <= 0:
            raise NotEnded(
                f"Run {run_id} is {run.state} after {limit}.", hint="The run goes on. Wait longer, or look later."
            )
        clock.sleep(min(pause, left))
        pause = min(pause * 1.5, LAST_LOOK)
    return _read(run)


async def find_async(run_id: UUID | str) -> RunRecord:
    """``find`` without blocking the event loop."""
    return await own_threads.step(find, run_id)


async def attempts_async(run_id: UUID | str) -> list[AttemptRecord]:
    """``attempts`` without blocking the event loop."""
    return await own_threads.step(attempts, run_id)


async def cancel_async(
    run_id: UUID | str, *, reason: str | None = None, session: AsyncSessionLike | None = None
) -> RunState:
    """``cancel`` without blocking the event loop; ``session`` as for ``enqueue_async``."""
    session = enclosing_session() if session is None else session
    if session is None:
        return await own_threads.step(cancel, run_id, reason=reason)
    return await call_in(session, lambda plain: cancel(run_id, reason=reason, session=plain))


async def wait_async(run_id: UUID | str, *, limit: timedelta) -> RunRecord:
    """``wait`` without blocking the event loop or occupying a thread."""
    clock = boot.current().clock
    until = clock.monotonic() + limit.total_seconds()
    pause = FIRST_LOOK
    while (run := await own_threads.step(_found, run_id)).state not in FINAL:
        left = until - clock.monotonic()
        if left <= 0:
            raise NotEnded(
                f"Run {run_id} is {run.state} after {limit}.", hint="The run goes on. Wait longer, or look later."
            )
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, LAST_LOOK)
    return await own_threads.step(_read, run)


def run_uuid(value: UUID | str) -> UUID:
    """The id of a run.

    Raises:
        NotFound: it is none.
    """
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, TypeError, AttributeError):
        raise NotFound(f"{value!r} is not a run id.") from None
