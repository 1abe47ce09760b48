"""Performs a run once and returns how it ended. Raises nothing that a job raises."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import Any

from jobs.app import App
from jobs.client.job import Job
from jobs.database.postgres import driver
from jobs.definition import registry
from jobs.definition.checks import is_async
from jobs.enqueue.write_path import announce_runs, carrier
from jobs.errors import LedgerBusy, ServiceDown, TimeLimitExceeded
from jobs.ledger.records import AttemptResult, Claim, RecordedAttempt
from jobs.ledger.runs.settle import settle_one
from jobs.observe.trace import consumer
from jobs.runtime.attempt_state import StopSign
from jobs.runtime.failure import storable
from jobs.runtime.run import Run
from jobs.runtime.run_hooks import NO_HOOKS, run_hooks
from jobs.runtime.waits import left_by
from jobs.states import Outcome, RunState
from worker.attempt.call import CurrentRun, become_current, hooked, to_end
from worker.attempt.job_reader import JobReader
from worker.attempt.log_capture import capture, level_of
from worker.attempt.log_keeper import LogKeeper
from worker.attempt.outcome import attempt_result_now, broken, result_in_row, result_in_row_async, succeeded
from worker.attempt.prepare import Preparations
from worker.attempt.retry_decision import decide_retry
from worker.timeouts.deadline import TooLate
from worker.timeouts.thread_frames import frame_of

log = logging.getLogger("jobs.worker")

INTERRUPTED_SECONDS = 1.0
"""The wait before a run is tried again whose success could not be committed because the ledger was busy or down."""

Perform = Callable[[Callable[[], Any]], Any]
"""Calls a function under a run's limits."""
PerformAsync = Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]]
"""Awaits a coroutine under a run's limits."""


class Attempts:
    """Performs the runs of a process, on the thread or event loop that calls it."""

    def __init__(self, app: App, *, worker: str | None = None) -> None:
        self._app = app
        self._worker = worker
        self.preparations = Preparations(app)
        self._reading = JobReader(app)
        self._traced = consumer(app.settings)
        self._carry = carrier(app)
        self._announce_runs = partial(announce_runs, app)
        self.log_keeper = LogKeeper(app)
        self._captured = level_of(None, app.settings.capture_logs)
        self._pid = os.getpid()
        self._make_run: Callable[..., Run] = Run

    def attempt(self, claim: Claim, perform: Perform, *, stop: StopSign) -> tuple[AttemptResult, Run]:
        """Perform the run. Returns the attempt's result, and the ``Run`` with the transaction that it may have left
        open.

        The job runs in a copy of the thread's context, so the next job does not see its ``ContextVar`` values.

        Raises:
            TooLate: the hard limit ended the attempt; nothing is left to settle.
        """
        cls: type[Job] = registry.get(claim.kind)
        started = self._app.clock.monotonic()
        run = self._new_run(claim, cls, started, stop)
        try:
            attempt_result = copy_context().run(self._attempt, claim, cls, run, started, perform)
        except TooLate:
            raise
        except BaseException as error:
            attempt_result = self._broken(claim, run, started, error)
        if run.lines is not None:
            attempt_result.log = self.log_keeper.close(claim.token)
        return attempt_result, run

    def _attempt(self, claim: Claim, cls: type[Job], run: Run, started: float, perform: Perform) -> AttemptResult:
        """Perform it. This function handles every error of the job; an error that leaves it is our own."""
        become_current(run)  # For good: this context ends with the attempt.
        with self._traced(claim) as note:
            try:
                # A coroutine that performs here has an event loop of its own, and its hooks are there.
                is_coroutine = is_async(cls)
                with NO_HOOKS if is_coroutine else run_hooks.around(run):
                    self.preparations.make_ready(cls)
                    job = self._reading.read(cls, claim)
                    job.bind(run)
                    started = self._start(run, cls)
                    value = perform(hooked(job, run) if is_coroutine else partial(to_end, job.perform))
                self._leave_if_forked(claim)
                run.leave_if_suspended()
                run.write_progress()
                text = result_in_row(self._app, claim, value, run.seal)
                return note(succeeded(self._app, claim, started, text))
            except TooLate:
                self._leave_if_forked(claim)
                run.rollback()
                raise
            except BaseException as error:
                self._leave_if_forked(claim, error)
                run.rollback()
                run.write_progress()
                return note(self._failed(claim, cls, run, started, error))

    async def attempt_async(
        self, claim: Claim, perform: PerformAsync, *, stop: StopSign, prepare: Callable[[type[Job]], Awaitable[None]]
    ) -> tuple[AttemptResult, Run]:
        """The same for a job that performs as a coroutine, in a task of its own."""
        cls: type[Job] = registry.get(claim.kind)
        started = self._app.clock.monotonic()
        run = self._new_run(claim, cls, started, stop)
        try:
            attempt_result = await self._attempt_async(claim, cls, run, started, perform, prepare)
        except BaseException as error:
            attempt_result = self._broken(claim, run, started, error)
        if run.lines is not None:
            attempt_result.log = self.log_keeper.close(claim.token)
        return attempt_result, run

    async def _attempt_async(
        self,
        claim: Claim,
        cls: type[Job],
        run: Run,
        started: float,
        perform: PerformAsync,
        prepare: Callable[[type[Job]], Awaitable[None]],
    ) -> AttemptResult:
        with CurrentRun(run), self._traced(claim) as note:
            try:
                async with run_hooks.around_async(run):
                    await prepare(cls)
                    job = await self._reading.read_async(cls, claim)
                    job.bind(run)
                    started = self._start(run, cls)
                    value = await perform(job.perform())
                self._leave_if_forked(claim)
                run.leave_if_suspended()
                await run.write_progress_async()
                text = await result_in_row_async(self._app, claim, value, run.seal)
                return note(succeeded(self._app, claim, started, text))
            except BaseException as error:
                self._leave_if_forked(claim, error)
                run.rollback()
                return note(self._failed(claim, cls, run, started, error))

    def _failed(self, claim: Claim, cls: type[Job], run: Run, started: float, error: BaseException) -> AttemptResult:
        return self._hide(run, decide_retry(self._app, claim, cls.options.retry, started, left_by(run, error)))

    def _hide(self, run: Run, result: AttemptResult) -> AttemptResult:
        """Take what the run's arguments had sealed out of its error."""
        if run.seal is not None and result.failure is not None:
            result.failure = run.seal.hidden(result.failure)
        return result

    def over(self, claim: Claim, elapsed_seconds: float, *, thread: int | None = None, why: str) -> AttemptResult:
        """The result of an attempt that was still running at its hard limit; ``thread`` is the thread that it
        blocks."""
        cls: type[Job] = registry.get(claim.kind)
        now = self._app.clock.monotonic()
        try:
            attempt_result = decide_retry(
                self._app, claim, cls.options.retry, now - elapsed_seconds, TimeLimitExceeded(why)
            )
            frame = frame_of(thread) if thread is not None else None
            if frame is not None and attempt_result.failure is not None:
                where = storable("".join(traceback.format_stack(frame, limit=20)))
                attempt_result.failure = replace(attempt_result.failure, traceback=f"It was here:\n{where}")
        except BaseException as error:
            # The attempt must end: it occupies a slot, and its lease is renewed until it is settled.
            attempt_result = broken(self._app, claim, now - elapsed_seconds, error)
        attempt_result.log = self.log_keeper.close(claim.token)
        return attempt_result

    def released(self, claim: Claim, started: float) -> AttemptResult:
        """The result of an attempt that still performed when its process had to stop."""
        attempt_result = attempt_result_now(self._app, claim, started, Outcome.RELEASED)
        attempt_result.log = self.log_keeper.close(claim.token)
        return attempt_result

    def commit(self, attempt_result: AttemptResult, run: Run, *, worker: str) -> RecordedAttempt | None:
        """Record the success in the job's own transaction: one commit holds the job's writes and the end of the
        attempt.

        Returns None if that was not possible; then the settler must settle ``attempt_result``: the lease was lost or
        the run was cancelled (the writes are rolled back), or the commit failed (and so did the attempt).
        """
        written = run.written
        assert written is not None
        try:
            with self._app.database.translated():
                with written.ours() as ours:
                    settled = settle_one(
                        ours,
                        attempt_result,
                        worker=worker,
                        poison_after=self._app.settings.poison_after,
                        monotonic=self._app.clock.monotonic(),
                    )
                    if settled is not None and settled.followed_by:
                        self._app.database.send_notify(ours)
                if settled is not None and settled.state is RunState.SUCCEEDED:
                    run.commit()
                    return settled
            run.rollback()
        except BaseException as error:
            run.rollback()
            self.undo(attempt_result, error)
            self._hide(run, attempt_result)
        return None

    def undo(self, attempt_result: AttemptResult, error: BaseException) -> None:
        """Turn a success that could not be committed into a failure with ``error``.

        If the ledger itself was busy or down, the job has not failed: the run is released, uncharged.
        """
        cls: type[Job] = registry.get(attempt_result.claim.kind)
        started = self._app.clock.monotonic() - attempt_result.elapsed_seconds
        try:
            failed = decide_retry(self._app, attempt_result.claim, cls.options.retry, started, error)
        except BaseException as ours:
            failed = broken(self._app, attempt_result.claim, started, ours)
        attempt_result.outcome, attempt_result.delay_seconds, attempt_result.cause = (
            failed.outcome,
            failed.delay_seconds,
            failed.cause,
        )
        attempt_result.result, attempt_result.failure, attempt_result.error = None, failed.failure, error
        if is_interruption(error):
            attempt_result.outcome, attempt_result.delay_seconds, attempt_result.cause = (
                Outcome.RELEASED,
                INTERRUPTED_SECONDS,
                None,
            )

    def _broken(self, claim: Claim, run: Run, started: float, error: BaseException) -> AttemptResult:
        self._leave_if_forked(claim, error)
        run.rollback()
        return self._hide(run, broken(self._app, claim, started, error))

    def _leave_if_forked(self, claim: Claim, error: BaseException | None = None) -> None:
        """End this process if it is a fork that the job made. Such a fork is a copy of the worker without its
        threads, with the same connections: it must end before it uses one.
        """
        if os.getpid() == self._pid:
            return
        if isinstance(error, SystemExit):
            os._exit(error.code if isinstance(error.code, int) else error.code is not None)
        log.warning("Forked process of a job returned from perform and is ended", extra={"kind": claim.kind})
        os._exit(error is not None)

    def _new_run(self, claim: Claim, cls: type[Job], started: float, stop: StopSign) -> Run:
        options = cls.options
        timeout, own = options.timeout, options.capture_logs
        run = self._make_run(
            self._app,
            claim,
            deadline=None if timeout is None else started + timeout.total_seconds(),
            stop=stop,
            worker=self._worker,
            carry=self._carry,
            announce=self._announce_runs,
        )
        run.on_log = self.log_keeper.open
        level = self._captured if own is None else level_of(own, self._app.settings.capture_logs)
        if level is not None:
            capture(run, level)
        return run

    def _start(self, run: Run, cls: type[Job]) -> float:
        """Returns the moment from which the run's time counts; the time of ``prepare`` does not count."""
        started = self._app.clock.monotonic()
        if cls.options.timeout is not None:
            run.set_deadline(started + cls.options.timeout.total_seconds())
        return started


def is_interruption(error: BaseException) -> bool:
    """Whether a commit failed because the ledger was busy or down, which is not the job's fault.

    A statement timeout does not count: the statement may be the job's own, and would take as long again.
    """
    is_gone = isinstance(error, ServiceDown) and driver.is_interruption(error.__cause__)
    return is_gone or isinstance(error, LedgerBusy)
