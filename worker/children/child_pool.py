"""Child pool: performs runs in child processes, on behalf of the worker's threads, and reuses idle children."""

from __future__ import annotations

import itertools
import logging
import socket
import threading
from collections.abc import Callable
from datetime import timedelta

from jobs.app import App
from jobs.definition import registry
from jobs.ledger.records import AttemptResult, Claim, Failure, RecordedAttempt
from jobs.ledger.runs.sweep import crash_delay
from jobs.runtime.attempt_state import StopSign
from jobs.states import Outcome
from worker.attempt.attempt import Attempts
from worker.attempt.limits import ALONE_AFTER_ABANDONMENTS, Limits
from worker.children.child_spawner import ChildSpawner
from worker.protocol.child_result import CHILD_RESULT, CLAIM, ChildLine, ChildResult

log = logging.getLogger("jobs.worker")

POLL_SECONDS = 0.1
"""How often a thread checks whether to stop its child's run."""
NOT_SPAWNED_DELAY = timedelta(seconds=5)
"""The wait of a run whose child process could not be started."""


def performs_alone(claim: Claim) -> bool:
    """Whether a run is performed in a child: its job asks for that, or earlier attempts may have killed their
    process."""
    options = registry.get(claim.kind).options
    return bool(options.isolated or options.memory is not None or is_dangerous(claim))


def is_dangerous(claim: Claim) -> bool:
    """Whether earlier attempts killed their process, or may have."""
    return claim.crashes >= 1 or claim.abandonments >= ALONE_AFTER_ABANDONMENTS


class Stopper:
    """Cancels one attempt that a child performs."""

    def __init__(self) -> None:
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class _PooledChild:
    def __init__(self, name: str, line: ChildLine, memory: int | None) -> None:
        self.name = name
        self.line = line
        self.memory = memory
        self.runs = 0

    def is_alive(self) -> bool:
        """For an idle child, which sends nothing."""
        try:
            return self.line.receive(0.0) is None
        except EOFError:
            return False


class Children:
    """The child processes of a worker process. A thread uses one at a time; idle ones are kept by memory limit."""

    def __init__(
        self, app: App, attempts: Attempts, spawner: ChildSpawner, *, worker: str, stopping: StopSign, max_idle: int
    ) -> None:
        self._app = app
        self._attempts = attempts
        self._spawner = spawner
        self._worker = worker
        self._stopping = stopping
        self._max_idle = max_idle
        self._idle: list[_PooledChild] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    def stopper(self) -> Stopper:
        return Stopper()

    def perform(
        self, claim: Claim, limits: Limits, stopper: Stopper, *, is_ours: Callable[[], bool]
    ) -> tuple[AttemptResult | None, RecordedAttempt | None]:
        """Perform the run in a child. Returns the result and, if the child has settled it, the recorded attempt.

        Args:
            is_ours: returns False once another thread has ended the attempt; then the child is killed, and the
            return value is (None, None).
        """
        began = self._app.clock.monotonic()
        try:
            child = self._take(claim)
        except OSError as error:
            log.error("Child process could not be started", extra={"reason": str(error)})
            failure = Failure.without_exception(claim.kind, "ChildNotStarted", str(error))
            return self._attempt_result(claim, began, Outcome.SNOOZED, failure, NOT_SPAWNED_DELAY.total_seconds()), None
        child.line.send(do="perform", claim=CLAIM.dump_python(claim, mode="json"))
        killed: Outcome | None = None
        try:
            child_result, killed = self._wait(child, claim, limits, stopper, is_ours, began)
        except EOFError:
            child_result = None
        except BaseException:
            # Our own failure ends the attempt: nothing reads the child's result after this point.
            self._spawner.kill(child.name)
            child.line.close()
            self._spawner.reap(child.name)
            raise
        if child_result is None:
            return self._report_death(child, claim, began, killed), None
        self._keep(child, claim, child_result)
        return child_result.attempt_result(claim, self._app.clock.monotonic()), child_result.settled

    def close(self) -> None:
        """End the idle children."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            self._dismiss(child)

    def _wait(
        self,
        child: _PooledChild,
        claim: Claim,
        limits: Limits,
        stopper: Stopper,
        is_ours: Callable[[], bool],
        began: float,
    ) -> tuple[ChildResult | None, Outcome | None]:
        """The child's result, or None and the reason why it was killed."""
        clock = self._app.clock
        hard_after = self._app.settings.hard_after.total_seconds()
        until = float("inf") if limits.hard is None else began + limits.hard
        told_cancel = told_stop = False
        on_time = Outcome.TIMED_OUT
        while True:
            now = clock.monotonic()
            if stopper.is_cancelled and not told_cancel:
                told_cancel = child.line.send(do="cancel", token=str(claim.token)) or True
                if now + hard_after < until:
                    until, on_time = now + hard_after, Outcome.CANCELLED
            if self._stopping.is_set() and not told_stop:
                told_stop = child.line.send(do="stop") or True
            if now >= until:
                return None, on_time
            if not is_ours():
                return None, Outcome.RELEASED
            said = child.line.receive(min(POLL_SECONDS, until - now))
            if said is not None:
                return CHILD_RESULT.validate_python(said["child_result"]), None

    def _report_death(
        self, child: _PooledChild, claim: Claim, began: float, killed: Outcome | None
    ) -> AttemptResult | None:
        """The result of a run whose child is dead; kills the child if it is not."""
        if killed is not None:
            self._spawner.kill(child.name)
        child.line.close()
        status = self._spawner.reap(child.name)
        took = self._app.clock.monotonic() - began
        if killed is Outcome.RELEASED:
            return None
        if killed is Outcome.TIMED_OUT:
            return self._attempts.over(
                claim, took, why="The attempt did not end at its time limit, so its process was killed."
            )
        if killed is Outcome.CANCELLED:
            failure = Failure.without_exception(
                claim.kind, "Cancelled", "The run did not end when it was cancelled; its process was killed."
            )
            return self._attempt_result(claim, began, killed, failure)
        how = "in an unknown way" if status is None else f"signal {-status}" if status < 0 else f"exit {status}"
        failure = Failure.without_exception(claim.kind, "ProcessDied", f"its worker process died: {how}")
        delay = crash_delay(claim.crashes).total_seconds()
        return self._attempt_result(claim, began, Outcome.CRASHED, failure, delay)

    def _attempt_result(
        self, claim: Claim, began: float, outcome: Outcome, failure: Failure, delay_seconds: float = 0.0
    ) -> AttemptResult:
        now = self._app.clock.monotonic()
        return AttemptResult(
            claim=claim,
            outcome=outcome,
            elapsed_seconds=now - began,
            ended_monotonic=now,
            delay_seconds=delay_seconds,
            failure=failure,
        )

    def _take(self, claim: Claim) -> _PooledChild:
        memory = registry.get(claim.kind).options.memory
        with self._lock:
            for child in list(self._idle):
                if child.memory == memory and not is_dangerous(claim):
                    self._idle.remove(child)
                    if child.is_alive():
                        return child
                    child.line.close()
                    self._spawner.reap(child.name)
        ours, theirs = socket.socketpair()
        name = f"{self._worker}:{next(self._numbers)}"
        with theirs:
            try:
                self._spawner.spawn(name, theirs)
            except OSError:
                ours.close()
                raise
        child = _PooledChild(name, ChildLine(ours), memory)
        child.line.send(settings=self._app.settings.model_dump_json(), worker=self._worker, memory=memory)
        return child

    def _keep(self, child: _PooledChild, claim: Claim, child_result: ChildResult) -> None:
        """Keep the child for the next run, unless this run may have damaged it."""
        child.runs += 1
        max_runs = self._app.settings.max_runs
        is_due = max_runs is not None and child.runs >= max_runs
        is_doubtful = child_result.was_interrupted or child_result.left_remains
        is_doubtful |= child_result.outcome in (Outcome.OUT_OF_MEMORY, Outcome.TIMED_OUT)
        with self._lock:
            if not (is_due or is_doubtful or is_dangerous(claim)) and len(self._idle) < self._max_idle:
                self._idle.append(child)
                return
        self._dismiss(child)

    def _dismiss(self, child: _PooledChild) -> None:
        child.line.close()  # It exits when its end of the socket is closed.
        if self._spawner.reap(child.name) is None:
            self._spawner.kill(child.name)
