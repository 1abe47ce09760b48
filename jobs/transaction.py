"""What a job writes to the ledger's database: together with its success, or together with a cursor."""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from jobs.errors import Conflict
from jobs.session import own, tell_committed

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from jobs.app import App

log = logging.getLogger("jobs.run")

LATE_SECONDS = 1.0
"""Work after the block that is warned of: it holds the transaction open. Source: design."""


class Undo(Exception):
    """Makes an open transaction roll back."""


class Written:
    """A session in a writing transaction that ends apart from the block that used it."""

    def __init__(self, app: App) -> None:
        self._stack = ExitStack()
        self.session: Session = self._stack.enter_context(app.database.session())
        own(self.session)

    def commit(self) -> None:
        """Commit, then tell of what was enqueued in it."""
        self._stack.close()
        tell_committed(self.session)

    def rollback(self) -> None:
        """Undo it. Raises nothing: what cannot be told to roll back has lost its connection, and is rolled back."""
        try:
            self._stack.__exit__(Undo, Undo(), None)
        except Undo:
            pass
        except Exception:
            log.debug("A transaction ended with its connection.", exc_info=True)


class Performing(Protocol):
    """What the parts of a run (its transaction, steps and cursors) need of the whole; ``jobs.run.Run`` is one."""

    app: App
    written: Written | None
    chunk: Written | None
    had_transaction: bool
    left_monotonic: float | None
    step_names: set[str]

    @property
    def id(self) -> UUID: ...
    @property
    def kind(self) -> str: ...
    @property
    def token(self) -> UUID: ...
    @property
    def attempt(self) -> int: ...
    @property
    def should_stop(self) -> bool: ...
    def refuse_inside(self, what: str) -> None: ...
    def rollback(self) -> None: ...


class RunTransaction:
    """The block of ``run.transaction()``: ``with`` in jobs, ``async with`` in async ones.

    In an async job the session is the same plain one; opening and flushing it do not hold up the loop, and a
    long statement belongs in ``asyncio.to_thread``.
    """

    def __init__(self, run: Performing) -> None:
        self._run = run

    def __enter__(self) -> Session:
        run = self._run
        if run.written is not None or run.had_transaction:
            raise Conflict("This attempt has had its transaction.", hint="Do all that belongs together in one block.")
        run.refuse_inside("transaction()")
        run.had_transaction = True
        run.written = Written(run.app)
        return run.written.session

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        written = self._run.written
        if written is None:
            return
        if kind is not None:
            self._run.rollback()
            return
        try:
            written.session.flush()
        except BaseException:
            self._run.rollback()
            raise
        self._run.left_monotonic = self._run.app.clock.monotonic()

    async def __aenter__(self) -> Session:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)


def warn_if_late(run: Performing) -> None:
    """Say that a job went on working after its transaction, which stayed open for it."""
    late = run.app.clock.monotonic() - run.left_monotonic if run.left_monotonic is not None else 0.0
    if late > LATE_SECONDS:
        log.warning(
            "A job worked on after its transaction, which stayed open meanwhile. Make the block its last act.",
            extra={"kind": run.kind, "run_id": str(run.id), "duration_ms": round(late * 1000)},
        )
