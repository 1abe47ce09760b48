"""Messages between a worker process and its child: JSON lines over a socket.

Parent to child: one line with settings, worker and memory, then ``perform``, ``cancel`` (of one attempt, by its
token) and ``stop``. Child to parent: one ``ChildResult`` for each ``perform``. Arguments may be large, so a line has
no limit but the settings'.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from jobs.ledger.records import AttemptResult, Claim, Completion, Failure, KeptLog, NewRun, RecordedAttempt
from jobs.states import Cause, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildResult:
    """The result of an attempt in a child; if ``settled`` is set, the child has recorded it in the job's
    transaction."""

    outcome: Outcome
    elapsed_seconds: float
    delay_seconds: float
    cause: Cause | None
    result: str | None
    failure: Failure | None
    settled: RecordedAttempt | None
    was_interrupted: bool = False
    left_remains: bool = False
    then: tuple[NewRun, ...] = ()
    completes: tuple[Completion, ...] = ()
    arguments: str | None = None
    held_on: str | None = None
    held_until: datetime | None = None
    awaits: UUID | None = None
    log: KeptLog | None = None

    @classmethod
    def of(
        cls,
        attempt_result: AttemptResult,
        settled: RecordedAttempt | None,
        *,
        was_interrupted: bool,
        left_remains: bool = False,
    ) -> ChildResult:
        return cls(
            outcome=attempt_result.outcome,
            elapsed_seconds=attempt_result.elapsed_seconds,
            delay_seconds=attempt_result.delay_seconds,
            cause=attempt_result.cause,
            result=attempt_result.result,
            failure=attempt_result.failure,
            settled=settled,
            was_interrupted=was_interrupted,
            left_remains=left_remains,
            then=tuple(attempt_result.then),
            completes=tuple(attempt_result.completes),
            arguments=attempt_result.arguments,
            held_on=attempt_result.held_on,
            held_until=attempt_result.held_until,
            awaits=attempt_result.awaits,
            log=attempt_result.log,
        )

    def attempt_result(self, claim: Claim, now: float) -> AttemptResult:
        """The result to settle, for an attempt that ended at this monotonic moment."""
        return AttemptResult(
            claim=claim,
            outcome=self.outcome,
            elapsed_seconds=self.elapsed_seconds,
            ended_monotonic=now,
            delay_seconds=self.delay_seconds,
            cause=self.cause,
            result=self.result,
            failure=self.failure,
            then=self.then,
            completes=self.completes,
            arguments=self.arguments,
            held_on=self.held_on,
            held_until=self.held_until,
            awaits=self.awaits,
            log=self.log,
        )


CHILD_RESULT = TypeAdapter(ChildResult)
CLAIM = TypeAdapter(Claim)


class ChildLine:
    """One end of the socket. Call ``send`` from any thread, ``receive`` from one."""

    def __init__(self, line: socket.socket) -> None:
        line.setblocking(True)
        self._line = line
        self._sending = threading.Lock()
        self._unread = bytearray()

    def send(self, **message: Any) -> bool:
        """False if the peer is gone."""
        data = json.dumps(message).encode() + b"\n"
        try:
            with self._sending:
                self._line.sendall(data)
        except OSError:
            return False
        return True

    def receive(self, wait_seconds: float | None = None) -> dict[str, Any] | None:
        """The next message; None if none came in time.

        Raises:
            EOFError: the peer is gone.
        """
        while (end := self._unread.find(b"\n")) < 0:
            if wait_seconds is not None:
                poll = select.poll()
                poll.register(self._line, select.POLLIN)
                if not poll.poll(max(0.0, wait_seconds) * 1000):
                    return None
            try:
                data = self._line.recv(1 << 18)
            except OSError:
                data = b""
            if not data:
                raise EOFError
            self._unread += data
        text = bytes(self._unread[:end])
        del self._unread[: end + 1]
        message: dict[str, Any] = json.loads(text)
        return message

    def close(self) -> None:
        self._line.close()
