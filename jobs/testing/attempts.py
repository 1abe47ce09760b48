"""Performs attempts in the test's own thread as a worker does; a test can plan how the next ones end."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.client.job import Job
from jobs.definition import registry
from jobs.errors import LedgerRefused
from jobs.ledger.limits.reassign import reassign
from jobs.ledger.queries import find as finding
from jobs.ledger.records import AttemptResult, Claim, RecordedAttempt
from jobs.ledger.run_records import RunRecord
from jobs.ledger.runs import sweep
from jobs.ledger.runs.settle import settle
from jobs.states import Outcome

WORKER = "testing"


class Crash(BaseException):
    """Raised in a job under test, it acts as the death of the process: the attempt records nothing."""


@dataclass(frozen=True, slots=True)
class Performed:
    """One attempt: its run now, how the attempt ended, and the exception that the job raised, if any."""

    run: RunRecord
    outcome: Outcome
    error: BaseException | None

    def result(self) -> Any:
        """The job's return value; raises the job's exception instead, if there was one."""
        if self.error is not None:
            raise self.error
        return self.run.result


Plan = Callable[[Callable[[], Any]], Any]
"""Takes the function that performs the job; a plan may call it, or raise instead."""


RunCoroutine = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]
"""Calls an async function to its end, and returns what it returns."""


class PlannedAttempts:
    """Performs the attempts of one ledger under test."""

    def __init__(self, app: App, *, stopping: threading.Event, run_coroutine: RunCoroutine | None = None) -> None:
        self._app = app
        self._run_coroutine = run_coroutine
        self._stopping = stopping
        self._plans: dict[str, list[Plan]] = {}

    def plan(self, kind: type[Job], plan: Plan, times: int) -> None:
        """Use ``plan`` for the next ``times`` attempts at this kind; it gets the function that performs the job."""
        self._plans.setdefault(kind.options.kind, []).extend([plan] * times)

    def make(self, claim: Claim) -> Performed:
        """Perform the run once, and record the result of the attempt."""
        from worker.attempt.attempt import Attempts
        from worker.attempt.call import without_loop

        attempts = Attempts(self._app, worker=WORKER)
        if claim.problem is not None:
            raise LedgerRefused(f"Run {claim.run_id} cannot be read: {claim.problem}")
        attempt_result, run = attempts.attempt(
            claim, lambda fn: self._perform(self._plain(fn) or without_loop(fn), claim), stop=self._stopping
        )
        outcome = attempt_result.outcome
        if isinstance(attempt_result.error, Crash):
            run.rollback()
            outcome = Outcome.CRASHED
            self._dead_letter(claim.token)
        else:
            recorded = None if run.session is None else attempts.commit(attempt_result, run, worker=WORKER)
            if recorded is None:
                recorded = self._settle(attempt_result)
                outcome = attempt_result.outcome
            if recorded is not None and recorded.slots_left:
                with self._app.database.write() as connection:
                    reassign(connection, recorded.slots_left)
        with self._app.database.read() as connection:
            record = finding.find_run(connection, claim.run_id)
        assert record is not None
        return Performed(record, outcome, attempt_result.error)

    def _settle(self, attempt_result: AttemptResult) -> RecordedAttempt | None:
        with self._app.database.write() as connection:
            settled, _ = settle(
                connection,
                [attempt_result],
                worker=WORKER,
                poison_after=self._app.settings.poison_after,
                monotonic=self._app.clock.monotonic(),
            )
        return settled[0][1] if settled else None

    def _plain(self, fn: Callable[[], Any]) -> Callable[[], Any] | None:
        run = self._run_coroutine
        return partial(run, fn) if run is not None and inspect.iscoroutinefunction(fn) else None

    def _perform(self, fn: Callable[[], Any], claim: Claim) -> Any:
        plans = self._plans.get(registry.get(claim.kind).options.kind)
        return plans.pop(0)(fn) if plans else fn()

    def _dead_letter(self, token: UUID) -> None:
        with self._app.database.write() as connection:
            sweep.end_dead_attempts(
                connection,
                WORKER,
                performing=[token],
                ended=[],
                why="crash on demand",
                poison_after=self._app.settings.poison_after,
            )
