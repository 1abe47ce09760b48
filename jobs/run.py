"""Run: what a job sees of its own run while it performs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from jobs.app import App
from jobs.errors import Conflict
from jobs.ledger.records import Claim

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class StopSign(Protocol):
    """Says whether the job should come to an end."""

    def is_set(self) -> bool: ...


class Run:
    """The run that a job performs, and what it may ask of the ledger.

    Attributes:
        id: the run's id; the same in every attempt.
        attempt: this attempt's number, from 1.
        key: what the run was enqueued with.
        created_at: when it was enqueued; aware, UTC, by the ledger's clock.
        scheduled_for: the moment of its slot, if a schedule made it.
    """

    __slots__ = ("_claim", "_deadline", "_stack", "_stop", "app", "session")

    def __init__(self, app: App, claim: Claim, *, deadline: float | None = None, stop: StopSign | None = None) -> None:
        self.app = app
        self.session: Session | None = None
        self._claim = claim
        self._deadline = deadline
        self._stop = stop
        self._stack: ExitStack | None = None

    @property
    def id(self) -> UUID:
        return self._claim.run_id

    @property
    def kind(self) -> str:
        return self._claim.kind

    @property
    def queue(self) -> str:
        return self._claim.queue

    @property
    def attempt(self) -> int:
        return self._claim.attempt

    @property
    def max_attempts(self) -> int:
        return self._claim.max_attempts

    @property
    def created_at(self) -> datetime:
        return self._claim.created_at

    @property
    def scheduled_for(self) -> datetime | None:
        return self._claim.scheduled_for

    @property
    def correlation_id(self) -> str | None:
        return self._claim.correlation_id

    @property
    def parent_id(self) -> UUID | None:
        return self._claim.parent_id

    @property
    def root_id(self) -> UUID:
        """The run that all this began with: itself, if nothing enqueued it."""
        return self._claim.root_id or self._claim.run_id

    @property
    def should_stop(self) -> bool:
        """Whether the worker is stopping or the run was cancelled: a loop may save what it has and raise ``Snooze``."""
        return self._stop is not None and self._stop.is_set()

    @property
    def remaining(self) -> timedelta | None:
        """What is left of the time limit; None without one."""
        if self._deadline is None:
            return None
        return timedelta(seconds=max(0.0, self._deadline - self.app.clock.monotonic()))

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session whose writes commit together with this run's success, or not at all.

        Leaving the block flushes; the commit comes when ``perform`` returns. Make it the job's last act: on
        SQLite it holds the only write lock. Once an attempt.

        Raises:
            Conflict: this attempt has had its transaction.
        """
        if self._stack is not None:
            raise Conflict("This attempt has had its transaction.", hint="Do all that belongs together in one block.")
        with ExitStack() as stack:
            self.session = stack.enter_context(self.app.database.session())
            yield self.session
            self.session.flush()
            self._stack = stack.pop_all()

    def set_deadline(self, deadline: float) -> None:
        """For the worker: when the time limit is, on the monotonic clock."""
        self._deadline = deadline

    def commit(self) -> None:
        """For the worker: commit what ``transaction()`` wrote."""
        if self._stack is not None:
            self._stack.close()
        self.session = None

    def rollback(self) -> None:
        """For the worker: undo what ``transaction()`` wrote, if anything."""
        if self._stack is not None and self.session is not None:
            self.session = None
            error = _Undo()
            try:
                self._stack.__exit__(_Undo, error, None)
            except _Undo:
                pass


class _Undo(Exception):
    """Makes an open transaction roll back."""
