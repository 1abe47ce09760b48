"""Attempt: perform a run once, and say how it ended. Raises nothing that a job raises."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from contextvars import Token
from datetime import timedelta
from typing import Any

from pydantic_core import to_json

from jobs import registry
from jobs.app import App
from jobs.arguments import read_arguments
from jobs.context import correlation_id, current_run
from jobs.errors import (
    ArgumentsRefused,
    Cancel,
    Cancelled,
    GiveUp,
    RetryAfter,
    Snooze,
    TimeLimitExceeded,
    UnknownEffect,
)
from jobs.failure import describe_failure, storable
from jobs.job import Job, is_async
from jobs.ledger.records import Claim, Ending, Settled
from jobs.ledger.settle import settle
from jobs.retry import Retry
from jobs.run import Run
from jobs.states import Cause, Outcome, RunState

log = logging.getLogger("jobs.worker")

NEWER_WAIT = timedelta(seconds=5)
"""Before a run whose arguments are of a later version is looked at again."""

Perform = Callable[[Callable[[], Any], Claim, timedelta | None], Any]
"""Calls a function under a run's time limit."""


class Attempts:
    """Performs the runs of a process, on whatever thread asks."""

    def __init__(self, app: App, perform: Perform, *, stopping: threading.Event) -> None:
        self._app = app
        self._perform = perform
        self._stopping = stopping
        self._is_async: dict[type, bool] = {}

    def attempt(self, claim: Claim) -> tuple[Ending, Run]:
        """Perform the run; how it ended, and its run with whatever transaction it left open."""
        clock = self._app.clock
        started = clock.monotonic()
        cls: type[Job] = registry.get(claim.kind)
        timeout = cls.options.timeout
        deadline = started + timeout.total_seconds() if timeout is not None else None
        run = Run(self._app, claim, deadline=deadline, stop=self._stopping)
        outer = current_run.set(run), correlation_id.set(claim.correlation_id or str(claim.run_id))
        try:
            job = self._read(cls, claim)
            job.bind(run)
            value = self._perform(self._call(cls, job), claim, timeout)
            ending = self._ended(claim, started, Outcome.SUCCEEDED, result=self._result(claim, value))
        except BaseException as error:
            run.rollback()
            ending = self._failed(claim, cls.options.retry, started, error)
        finally:
            _reset(outer)
        return ending, run

    def commit(self, ending: Ending, run: Run, *, worker: str) -> Settled | None:
        """Record the success in the job's own transaction: its writes and its end are one commit, or none.

        None when that was not to be, and ``ending`` is to be settled apart: the lease is lost or the run was
        cancelled (the writes are undone), or the commit failed (and so has the attempt).
        """
        session = run.session
        assert session is not None
        try:
            with self._app.database.translated():
                settled, _ = settle(
                    session,
                    [ending],
                    worker=worker,
                    poison_after=self._app.settings.poison_after,
                    monotonic=self._app.clock.monotonic(),
                )
                if settled and settled[0][1].state is RunState.SUCCEEDED:
                    run.commit()
                    return settled[0][1]
            run.rollback()
        except BaseException as error:
            run.rollback()
            self.undo(ending, error)
        return None

    def undo(self, ending: Ending, error: BaseException) -> None:
        """What was to be a success could not be committed: the attempt failed with ``error`` instead."""
        cls: type[Job] = registry.get(ending.claim.kind)
        now = self._app.clock.monotonic()
        failed = self._failed(ending.claim, cls.options.retry, now - ending.elapsed_seconds, error)
        ending.outcome, ending.delay_seconds, ending.cause = failed.outcome, failed.delay_seconds, failed.cause
        ending.result, ending.failure, ending.error = None, failed.failure, error

    def _read(self, cls: type[Job], claim: Claim) -> Job:
        version, stored = cls.options.version, claim.arguments_version
        upcast = (lambda old: cls.upcast(old, stored)) if stored < version else None
        try:
            return read_arguments(cls, claim.arguments, kind=claim.kind, upcast=upcast)
        except ArgumentsRefused:
            # A later release enqueued it: during a deploy its own worker will come.
            if stored > version and claim.age < self._app.settings.unknown_kind_wait:
                raise Snooze(NEWER_WAIT, reason="its arguments are of a later version") from None
            raise

    def _call(self, cls: type[Job], job: Job) -> Callable[[], Any]:
        runs_async = self._is_async.get(cls)
        if runs_async is None:
            runs_async = self._is_async[cls] = is_async(cls)
        return (lambda: asyncio.run(job.perform())) if runs_async else job.perform

    def _failed(self, claim: Claim, retry: Retry, started: float, error: BaseException) -> Ending:
        """Where an error sends the run: what steers first, then what we raised, then the retry policy."""
        kind = claim.kind
        if isinstance(error, ArgumentsRefused) and error.__traceback__ is not None and _is_reading(error):
            return self._ended(claim, started, Outcome.FAILED, cause=Cause.BAD_ARGUMENTS, error=error)
        if isinstance(error, UnknownEffect):
            return self._ended(claim, started, Outcome.GAVE_UP, cause=Cause.UNKNOWN_EFFECT, error=error)
        if isinstance(error, Snooze):
            if error.give_up_after is not None and claim.age >= error.give_up_after:
                return self._ended(claim, started, Outcome.GAVE_UP, cause=Cause.GAVE_UP, error=error)
            return self._ended(claim, started, Outcome.SNOOZED, delay=error.delay)
        if isinstance(error, RetryAfter):
            return self._ended(claim, started, Outcome.FAILED, delay=error.delay, error=error)
        if isinstance(error, GiveUp):
            return self._ended(claim, started, Outcome.GAVE_UP, cause=Cause.GAVE_UP, error=error)
        if isinstance(error, Cancel | Cancelled):
            return self._ended(claim, started, Outcome.CANCELLED, error=error)
        outcome = Outcome.FAILED
        judged: BaseException | None = error
        if isinstance(error, TimeLimitExceeded):
            outcome, judged = Outcome.TIMED_OUT, None
        elif not isinstance(error, Exception):
            log.warning(
                "A job raised what is not an Exception.", extra={"kind": kind, "error_type": type(error).__name__}
            )
            judged = None
        delay = retry.delay(claim.charged + 1, error=judged, age=claim.age, rng=self._app.clock.rng)
        if delay is None:
            is_fatal = judged is not None and retry.is_fatal(judged)
            cause = Cause.GAVE_UP if is_fatal else Cause.EXHAUSTED
            return self._ended(claim, started, outcome, cause=cause, error=error)
        return self._ended(claim, started, outcome, delay=delay, error=error)

    def _ended(
        self,
        claim: Claim,
        started: float,
        outcome: Outcome,
        *,
        delay: timedelta | None = None,
        cause: Cause | None = None,
        result: str | None = None,
        error: BaseException | None = None,
    ) -> Ending:
        now = self._app.clock.monotonic()
        return Ending(
            claim=claim,
            outcome=outcome,
            elapsed_seconds=now - started,
            ended_monotonic=now,
            delay_seconds=delay.total_seconds() if delay is not None else 0.0,
            cause=cause,
            result=result,
            failure=describe_failure(error, kind=claim.kind) if error is not None else None,
            error=error,
        )

    def _result(self, claim: Claim, value: Any) -> str | None:
        """A returned value as JSON. The work is done: what cannot be kept is warned of, and does not undo it."""
        if value is None:
            return None
        try:
            text = storable(to_json(value, inf_nan_mode="null").decode())
            json.loads(text)
        except (ValueError, RecursionError) as error:
            why = type(error).__name__
        else:
            if len(text) <= self._app.settings.max_result_bytes and "\\u0000" not in text:
                return text
            why = "too large" if "\\u0000" not in text else "holds NUL"
        log.warning("A result could not be kept.", extra={"kind": claim.kind, "run_id": str(claim.run_id), "why": why})
        return None


def _is_reading(error: ArgumentsRefused) -> bool:
    """Whether the refusal comes from reading this run's own arguments, not from what the job enqueued."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code is read_arguments.__code__


def _reset(outer: tuple[Token[Any], Token[Any]]) -> None:
    current_run.reset(outer[0])
    correlation_id.reset(outer[1])
