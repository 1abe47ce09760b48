"""AttemptState: the side of a run that the worker and the steps use; a job uses ``runtime.run.Run``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from jobs.app import App
from jobs.errors import Conflict
from jobs.ledger.records import Claim, NewRun
from jobs.runtime.attempt_log import AttemptLog
from jobs.runtime.gather import Enqueueable
from jobs.runtime.progress import Progress
from jobs.runtime.rows import rows_of
from jobs.runtime.run_facts import RunFacts
from jobs.runtime.suspended import Suspended
from jobs.runtime.transaction import Written, warn_if_late
from jobs.sealing.run_seal import RunSeal

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class StopSign(Protocol):
    """Tells whether the job should stop."""

    def is_set(self) -> bool: ...


class TimeLimits(Protocol):
    """The time limits of an attempt; they can be paused."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...


Carry = Callable[[Sequence[NewRun]], Sequence[NewRun]]
"""Adds trace context to runs."""
Announce = Callable[[Sequence[NewRun]], None]
"""Tells the ready index and subscribers of committed runs."""
OnLog = Callable[[Claim, AttemptLog], None]
"""Called with the log of an attempt that logs its first line."""


class AttemptState(RunFacts):
    """Time limits, open transaction, names of used steps and unwritten progress of one attempt."""

    __slots__ = (
        "_announce",
        "_carry",
        "_deadline",
        "_progress",
        "_stop",
        "app",
        "chunk",
        "had_transaction",
        "left_monotonic",
        "limits",
        "lines",
        "on_log",
        "seal",
        "step_names",
        "suspended",
        "worker",
        "written",
    )

    def __init__(
        self,
        app: App,
        claim: Claim,
        *,
        deadline: float | None = None,
        stop: StopSign | None = None,
        worker: str | None = None,
        carry: Carry = list,
        announce: Announce | None = None,
    ) -> None:
        self._claim = claim  # As RunFacts does; one of these is made for every run.
        self.app = app
        self.worker = worker
        self.written: Written | None = None
        self.chunk: Written | None = None
        self.had_transaction = False
        self.left_monotonic: float | None = None
        self.step_names: set[str] = set()
        self.suspended: Suspended | None = None
        self.limits: TimeLimits | None = None
        self.lines: AttemptLog | None = None
        self.on_log: OnLog | None = None
        self.seal: RunSeal | None = None
        self._carry = carry
        self._announce = announce
        self._progress: Progress | None = None
        self._deadline = deadline
        self._stop = stop

    @property
    def should_stop(self) -> bool:
        """Whether the worker is stopping or the run was cancelled; a loop may save its state and raise ``Snooze``."""
        return self._stop is not None and self._stop.is_set()

    @property
    def remaining(self) -> timedelta | None:
        """Time left until the time limit; None without a limit."""
        if self._deadline is None:
            return None
        return timedelta(seconds=max(0.0, self._deadline - self.app.clock.monotonic()))

    @property
    def token(self) -> UUID:
        """For the ledger: the token that proves that this attempt holds the lease."""
        return self._claim.token

    @property
    def session(self) -> Session | None:
        """The session of ``transaction()``, from its block until the attempt has ended."""
        return self.written.session if self.written is not None else None

    @property
    def open_session(self) -> Session | None:
        """For enqueueing: the open transaction (``transaction()`` or ``advance()``) that new runs belong to."""
        return self.chunk.session if self.chunk is not None else self.session

    def write_progress(self) -> None:
        """For the worker: write the unwritten progress, if there is any."""
        if self._progress is not None:
            self._progress.write()

    async def write_progress_async(self) -> None:
        """For the worker: ``write_progress`` at the end of an attempt that is a coroutine."""
        if self._progress is not None:
            await self._progress.write_last()

    @property
    def may_wait(self) -> bool:
        """For steps: whether there is time left to wait for other users of the ledger."""
        return not self.should_stop and (self._deadline is None or self._deadline > self.app.clock.monotonic())

    @contextmanager
    def limits_off(self) -> Iterator[None]:
        """For steps: pause the job's time limits, because the block waits for other users of the ledger."""
        limits, began = self.limits, self.app.clock.monotonic()
        if limits is None:
            yield
            return
        deadline, self._deadline = self._deadline, None
        limits.pause()
        try:
            yield
        finally:
            limits.resume()
            if deadline is not None:
                self._deadline = deadline + self.app.clock.monotonic() - began

    def refuse_inside(self, what: str) -> None:
        """For steps: refuse to run in an open transaction, since steps commit on their own and would wait for it."""
        if self.open_session is not None:
            raise Conflict(
                f"{what} was called while the run's transaction is open.", hint="Call it before the block begins."
            )

    def set_deadline(self, deadline: float) -> None:
        """For the worker: set the moment of the time limit, on the monotonic clock."""
        self._deadline = deadline

    def new_run(self, job: Enqueueable) -> NewRun:
        """For steps that enqueue: the row of a job."""
        return self._carry([job.new_run(self.app)])[0]

    def new_runs(self, many: Sequence[Enqueueable]) -> list[NewRun]:
        """For steps that enqueue: the rows of many jobs, in their order."""
        settings = self.app.settings
        if self.app.database.dialect == "sqlite" or settings.tracing or settings.store_above is not None:
            return [self.new_run(job) for job in many]
        return list(rows_of(many, self.new_run, self.app))

    def announce(self, runs: Sequence[NewRun]) -> None:
        """For steps that enqueue: publish committed runs."""
        if self._announce is not None and runs:
            self._announce(runs)

    def own_log(self, *, level: int | None = None) -> AttemptLog:
        """For the worker: the log of this attempt, made at its first line. ``level``: of what is captured."""
        if self.lines is None:
            log = AttemptLog(self.app.clock.monotonic, max_bytes=self.app.settings.max_log_bytes, level=level)
            log.hide = self.seal.hide_in if self.seal is not None else None
            self.lines = log
            if self.on_log is not None:
                self.on_log(self._claim, log)
        return self.lines

    def leave_if_suspended(self) -> None:
        """For the worker: raise the suspension that the job swallowed, if it did."""
        if self.suspended is not None:
            raise self.suspended

    def commit(self) -> None:
        """For the worker: commit the writes of ``transaction()``."""
        warn_if_late(self)
        written, self.written = self.written, None
        if written is not None:
            written.commit()

    def rollback(self) -> None:
        """For the worker: undo the writes of ``transaction()``, if there are any."""
        written, self.written = self.written, None
        if written is not None:
            written.rollback()
