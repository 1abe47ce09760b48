"""A child of a worker process: performs one run after another, each alone, and may crash, leak or hang.

It has an App of its own and settles what its job writes in ``transaction()``. Its leases are renewed by its
parent, which also sees to the hard limit: it kills.
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
from jobs.app import App
from jobs.errors import Cancelled
from jobs.ledger.records import Claim
from jobs.observe.log import configure_logging
from jobs.observe.writer import flush_all
from jobs.run import StopSign
from jobs.settings import Settings
from worker.attempt import Attempts
from worker.birth import (
    die_with_parent,
    leave_signals_to_the_supervisor,
    let_forked_be_terminated,
    name_process,
)
from worker.deadline import Deadlines, Ticket
from worker.forward import Forward, brokers_of
from worker.halt import Halt
from worker.imports import import_application
from worker.limited import Limited
from worker.limits import limits_for
from worker.memory import limit_growth
from worker.rehearsal import rehearsed
from worker.remains import Remains
from worker.verdict import CLAIM, VERDICT, Line, Verdict


def serve(socket_: socket.socket) -> NoReturn:
    """Perform what the parent sends, until it is gone."""
    line = Line(socket_)
    let_forked_be_terminated()
    try:
        begin = line.receive()
        assert begin is not None
        settings = Settings.model_validate_json(begin["settings"])
        configure_logging(settings)
        app = boot.configure(boot.build(settings, database=rehearsed(settings)))
        _Child(line, app, worker=begin["worker"]).serve(begin["memory"])
    except EOFError:
        os._exit(0)
    os._exit(1)


def main(payload: dict[str, Any]) -> NoReturn:
    """A spawned child: a fresh interpreter that imports the application for itself."""
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
    """One attempt, and what ends it early: a coroutine is cancelled, anything else is interrupted."""

    def __init__(self, claim: Claim, stopping: StopSign) -> None:
        self.claim = claim
        self.halt = Halt(stopping)
        self.ticket = Ticket()
        self.limited = Limited()
        self.left_remains = False

    def cancel(self, deadlines: Deadlines) -> None:
        self.halt.set()
        self.limited.interrupt_soon(Cancelled)
        if not self.limited.has_begun:
            deadlines.cancel(self.ticket)


class _Child:
    def __init__(self, line: Line, app: App, *, worker: str) -> None:
        self._line = line
        self._app = app
        self._worker = worker
        self._attempts = Attempts(app)
        self._deadlines = Deadlines()
        self._remains = Remains()
        self._stopping = threading.Event()
        self._attempts_to_come: queue.SimpleQueue[_Attempt] = queue.SimpleQueue()
        self._live: dict[UUID, _Attempt] = {}  # By token, from the message on: a cancellation may follow at once.
        self._forward = Forward(brokers_of(app))
        self._forward.boot()
        self._forward.before_worker_boot(None, self)

    def serve(self, memory: int | None) -> NoReturn:
        threading.Thread(target=self._listen, name="jobs-child-line", daemon=True).start()
        self._deadlines.start()
        if memory is not None:
            limit_growth(memory)
        while True:
            verdict = self._perform(self._attempts_to_come.get())
            if not self._line.send(say="ended", verdict=VERDICT.dump_python(verdict, mode="json")):
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
                        self._forward.shut_down(self)
        finally:
            flush_all()
            os._exit(0)  # The parent is gone; whatever the job does, its lease will be lost.

    def _perform(self, one: _Attempt) -> Verdict:
        try:
            ending, run = self._attempts.attempt(one.claim, partial(self._within_limits, one), stop=one.halt)
        finally:
            del self._live[one.claim.token]
        settled = self._attempts.commit(ending, run, worker=self._worker) if run.session else None
        return Verdict.of(ending, settled, was_interrupted=one.ticket.interrupted, left_remains=one.left_remains)

    def _within_limits(self, one: _Attempt, perform: Callable[[], Any]) -> Any:
        limits = limits_for(one.claim, self._app.settings)
        soft, one.ticket.limit_error = limits.soft, limits.error
        try:
            if inspect.iscoroutinefunction(perform):
                return asyncio.run(one.limited.perform(perform(), soft))
            return self._deadlines.perform(perform, ticket=one.ticket, soft_seconds=soft)
        finally:
            # At once: an alarm that it has set would end the process in the middle of what comes next.
            one.left_remains = self._remains.clear()
