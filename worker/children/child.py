"""Main function of a child process, which performs one run at a time. It may crash, leak or hang.

A child has its own App, and settles a run whose job uses ``transaction()``. Its parent renews the leases, and
enforces the hard limit by killing the child.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import queue
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn
from uuid import UUID

from jobs import boot
from jobs.alerting.delivery import register
from jobs.app import App
from jobs.errors import Cancelled
from jobs.ledger.records import Claim
from jobs.observe.line_writer import flush_all
from jobs.observe.log import configure_logging
from jobs.runtime.attempt_state import StopSign
from jobs.settings import Settings
from worker.attempt.attempt import Attempts
from worker.attempt.limits import limits_for
from worker.attempt.stop_flag import StopFlag
from worker.children.leftovers import Remains
from worker.children.memory import limit_growth
from worker.dramatiq.middleware_hooks import MiddlewareHooks, brokers_of
from worker.protocol.child_result import CHILD_RESULT, CLAIM, ChildLine, ChildResult
from worker.startup.imports import import_application
from worker.startup.process_start import (
    die_with_parent,
    leave_signals_to_the_supervisor,
    let_forked_be_terminated,
    name_process,
)
from worker.startup.statement_warmup import warmed_up
from worker.timeouts.async_timeout import Limited
from worker.timeouts.deadline import Deadlines, TimeoutToken


def serve(socket_: socket.socket) -> NoReturn:
    """Perform what the parent sends, until the parent closes the connection."""
    line = ChildLine(socket_)
    let_forked_be_terminated()
    try:
        begin = line.receive()
        assert begin is not None
        settings = Settings.model_validate_json(begin["settings"])
        configure_logging(settings)
        register()  # A run of an alert may be performed alone.
        app = boot.configure(boot.build(settings, database=warmed_up(settings)))
        _Child(line, app, worker=begin["worker"]).serve(begin["memory"])
    except EOFError:
        os._exit(0)
    os._exit(1)


def main(payload: dict[str, Any]) -> NoReturn:
    """Entry point of a spawned child: a fresh interpreter that imports the application itself."""
    die_with_parent(payload["parent"])
    leave_signals_to_the_supervisor()
    name_process("jobs child")
    try:
        import_application(payload["imports"])
    except Exception as error:
        sys.stderr.write(f"error: {error}\n")
        os._exit(2)
    serve(socket.socket(fileno=payload["line_fd"]))


class _Attempt:
    """One attempt, and how to end it early: cancel a coroutine, interrupt anything else."""

    def __init__(self, claim: Claim, stopping: StopSign) -> None:
        self.claim = claim
        self.stop_flag = StopFlag(stopping)
        self.timeout_token = TimeoutToken()
        self.limited = Limited()
        self.left_remains = False

    def cancel(self, deadlines: Deadlines) -> None:
        self.stop_flag.set()
        self.limited.interrupt_soon(Cancelled)
        if not self.limited.has_begun:
            deadlines.cancel(self.timeout_token)


class _Child:
    def __init__(self, line: ChildLine, app: App, *, worker: str) -> None:
        self._line = line
        self._app = app
        self._worker = worker
        self._attempts = Attempts(app, worker=worker)
        self._attempts.log_keeper.start()
        self._deadlines = Deadlines()
        self._remains = Remains()
        self._stopping = threading.Event()
        self._attempts_to_come: queue.SimpleQueue[_Attempt] = queue.SimpleQueue()
        self._live: dict[
            UUID, _Attempt
        ] = {}  # By token; filled as soon as the message arrives, since a cancellation may follow at once.
        self._hooks = MiddlewareHooks(brokers_of(app))
        self._hooks.boot()
        self._hooks.before_worker_boot(None, self)

    def serve(self, memory: int | None) -> NoReturn:
        threading.Thread(target=self._listen, name="jobs-child-line", daemon=True).start()
        self._deadlines.start()
        if memory is not None:
            limit_growth(memory)
        while True:
            child_result = self._perform(self._attempts_to_come.get())
            if not self._line.send(say="ended", child_result=CHILD_RESULT.dump_python(child_result, mode="json")):
                os._exit(0)

    def _listen(self) -> None:
        try:
            while True:
                told = self._line.receive()
                match told:
                    case {"do": "perform", "claim": claim}:
                        attempt = _Attempt(CLAIM.validate_python(claim), self._stopping)
                        self._live[attempt.claim.token] = attempt
                        self._attempts_to_come.put(attempt)
                    case {"do": "cancel", "token": token}:
                        if (asked := self._live.get(UUID(token))) is not None:
                            asked.cancel(self._deadlines)
                    case {"do": "stop"}:
                        self._stopping.set()
                        self._hooks.shut_down(self)
        finally:
            flush_all()
            os._exit(0)  # The parent is gone, so the lease will be lost whatever the job does.

    def _perform(self, one: _Attempt) -> ChildResult:
        try:
            attempt_result, run = self._attempts.attempt(
                one.claim, partial(self._within_limits, one), stop=one.stop_flag
            )
        finally:
            del self._live[one.claim.token]
        settled = self._attempts.commit(attempt_result, run, worker=self._worker) if run.session else None
        return ChildResult.of(
            attempt_result, settled, was_interrupted=one.timeout_token.interrupted, left_remains=one.left_remains
        )

    def _within_limits(self, one: _Attempt, perform: Callable[[], Any]) -> Any:
        limits = limits_for(one.claim, self._app.settings)
        soft, one.timeout_token.limit_error = limits.soft, limits.error
        try:
            if inspect.iscoroutinefunction(perform):
                return asyncio.run(one.limited.perform(perform(), soft))
            return self._deadlines.perform(perform, timeout_token=one.timeout_token, soft_seconds=soft)
        finally:
            # At once: an alarm that the job has set would end the process during the next steps.
            one.left_remains = self._remains.clear()
