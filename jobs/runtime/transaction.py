"""A job's own writes to the ledger's database, committed with its success or with a cursor."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from jobs.database.semaphore import Permit, on_loop
from jobs.database.transactions.commit_hooks import notify_committed, own
from jobs.database.transactions.session_connection import placed
from jobs.errors import Conflict, JobsError, LedgerBusy
from jobs.ledger.chaos.effects import begin_effect, count_effect, withdraw_effect
from jobs.runtime import own_threads

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

    from jobs.app import App
    from jobs.ledger.records import NewRun
    from jobs.runtime.suspended import Suspended
    from jobs.sealing.run_seal import RunSeal

log = logging.getLogger("jobs.run")

WAIT_SECONDS = 1.0
"""How often a job's thread that waits for a free transaction checks whether it should stop. Source: decision."""
LATE_SECONDS = 1.0
"""Seconds of work after the block that cause a warning, because the transaction stays open. Source: design."""


class Undo(Exception):
    """Rolls an open transaction back."""


class Written:
    """A session in a writing transaction that may end later than the block that used it.

    Args:
        permit: its place among the transactions of this process.
    """

    def __init__(self, run: Performing, permit: Permit | None) -> None:
        self._stack = ExitStack()
        self._schema = run.app.database.schema
        if permit is not None:
            self._stack.callback(permit.release)
        try:
            self.session: Session = self._stack.enter_context(run.app.database.session(owner=run.token))
        except BaseException:
            self._stack.close()
            raise
        own(self.session)

    @contextmanager
    def ours(self) -> Iterator[Connection]:
        """The connection of this transaction, for our own statements."""
        with placed(self.session.connection(), self._schema) as connection:
            yield connection

    def commit(self) -> None:
        """Commit, then announce the runs that were enqueued in it."""
        self._stack.close()
        notify_committed(self.session)

    def rollback(self) -> None:
        """Undo it. Raises nothing: if the rollback fails, the connection is lost, and the server rolls back."""
        try:
            self._stack.__exit__(Undo, Undo(), None)
        except Undo:
            pass
        except Exception:
            log.debug("Transaction ended with its connection", exc_info=True)


def open_transaction(run: Performing) -> Written:
    """Open a transaction for this run, once a place is free.

    Raises:
        LedgerBusy: no place was free within the time limit; or the caller is on an event loop's thread, which must not
            wait.
    """
    places = run.app.database.places.transactions
    while True:
        # On a loop's thread it only takes a spare place: those who have the places may need the loop to release them.
        permit = places.try_take() if on_loop() else places.take(WAIT_SECONDS)
        if permit is None and not on_loop():
            if run.may_wait:
                continue
            raise LedgerBusy("Other jobs' transactions had all connections.", hint="Raise JOBS_POOL_SIZE.")
        try:
            return Written(run, permit)
        except LedgerBusy:
            if on_loop() or not run.may_wait:
                raise


async def open_transaction_async(run: Performing) -> Written:
    """``open_transaction`` for a coroutine: waits without a thread, and pauses the job's time limits meanwhile."""
    with run.limits_off():
        while True:
            permit = await run.app.database.places.transactions.take_async()
            try:
                return await _opened(run, permit)
            except LedgerBusy:
                if not run.may_wait:
                    raise


async def _opened(run: Performing, permit: Permit) -> Written:
    opened: list[Written] = []
    try:
        await own_threads.step(lambda: opened.append(Written(run, permit)))
    except BaseException:
        permit.release()
        if opened:
            # It was cancelled while the transaction was being opened, so no other code can close it.
            await own_threads.hold(opened[0].rollback)
        raise
    return opened[0]


class Performing(Protocol):
    """What the parts of a run (transaction, steps, cursors) need of the whole: ``AttemptState``."""

    app: App
    written: Written | None
    chunk: Written | None
    had_transaction: bool
    left_monotonic: float | None
    step_names: set[str]
    suspended: Suspended | None
    seal: RunSeal | None

    @property
    def id(self) -> UUID: ...
    @property
    def kind(self) -> str: ...
    @property
    def token(self) -> UUID: ...
    @property
    def attempt(self) -> int: ...
    @property
    def correlation_id(self) -> str | None: ...
    @property
    def session(self) -> Session | None: ...
    @property
    def open_session(self) -> Session | None: ...
    @property
    def should_stop(self) -> bool: ...
    @property
    def may_wait(self) -> bool: ...
    def limits_off(self) -> AbstractContextManager[None]: ...
    def refuse_inside(self, what: str) -> None: ...
    def rollback(self) -> None: ...


class Enqueueing(Performing, Protocol):
    """What the parts that enqueue need of the whole as well."""

    def new_run(self, job: Any) -> NewRun: ...
    def announce(self, runs: Sequence[NewRun]) -> None: ...


class RunTransaction:
    """The block of ``run.transaction()``: ``with`` in jobs, ``async with`` in async ones.

    An async job gets the same synchronous session. Opening, flushing and committing do not block the event loop; run a
    statement that is slow, or may wait for a row that another job has locked, in ``asyncio.to_thread``.
    """

    def __init__(self, run: Performing) -> None:
        self._run = run

    def __enter__(self) -> Session:
        self._begin()
        self._record(begin_effect)
        return self._opened(open_transaction(self._run))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        written = self._run.written
        if written is None:
            return
        if kind is not None:
            self._run.rollback()
            with suppress(JobsError):  # The job's own error is the one to raise.
                self._record(withdraw_effect)
            return
        try:
            written.session.flush()
            if self._run.app.settings.chaos is not None:
                with written.ours() as connection:
                    count_effect(connection, self._run.id, self._run.token)
        except BaseException:
            self._run.rollback()
            raise
        self._run.left_monotonic = self._run.app.clock.monotonic()

    async def __aenter__(self) -> Session:
        self._begin()
        if self._run.app.settings.chaos is not None:
            await own_threads.step(self._record, begin_effect)
        return self._opened(await open_transaction_async(self._run))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await own_threads.hold(self.__exit__, kind, error, trace)

    def _record(self, what: Callable[[Connection, UUID, UUID], None]) -> None:
        """In a process that was started for chaos: record what becomes of the transaction, in one of its own."""
        if self._run.app.settings.chaos is not None:
            with self._run.app.database.write() as connection:
                what(connection, self._run.id, self._run.token)

    def _begin(self) -> None:
        run = self._run
        if run.written is not None or run.had_transaction:
            raise Conflict(
                "This attempt has already opened its transaction.", hint="Do all that belongs together in one block."
            )
        run.refuse_inside("transaction()")
        run.had_transaction = True

    def _opened(self, written: Written) -> Session:
        self._run.written = written
        return written.session


def warn_if_late(run: Performing) -> None:
    """Warn about a job that went on working after its transaction, which stayed open meanwhile."""
    late = run.app.clock.monotonic() - run.left_monotonic if run.left_monotonic is not None else 0.0
    if late > LATE_SECONDS:
        log.warning(
            "Job went on after its transaction, which stayed open: make the block its last step",
            extra={"kind": run.kind, "run_id": str(run.id), "duration_ms": round(late * 1000)},
        )
