"""What travels between a worker process and the child that performs for it: JSON lines over a socket.

Parent to child: ``begin`` once, then ``perform``, ``cancel`` (of one attempt, by its token) and ``stop``. Child to
parent: one ``Verdict`` for each ``perform``. Arguments may be large, so a line has no limit but the settings'.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from jobs.ledger.records import Claim, Completion, Ending, Failure, NewRun, Settled
from jobs.states import Cause, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How an attempt ended in a child; with ``settled``, the child has recorded it in the job's transaction."""

    outcome: Outcome
    elapsed_seconds: float
    delay_seconds: float
    cause: Cause | None
    result: str | None
    failure: Failure | None
    settled: Settled | None
    was_interrupted: bool = False
    left_remains: bool = False
    then: tuple[NewRun, ...] = ()
    completes: tuple[Completion, ...] = ()
    arguments: str | None = None

    @classmethod
    def of(
        cls, ending: Ending, settled: Settled | None, *, was_interrupted: bool, left_remains: bool = False
    ) -> Verdict:
        return cls(
            outcome=ending.outcome,
            elapsed_seconds=ending.elapsed_seconds,
            delay_seconds=ending.delay_seconds,
            cause=ending.cause,
            result=ending.result,
            failure=ending.failure,
            settled=settled,
            was_interrupted=was_interrupted,
            left_remains=left_remains,
            then=tuple(ending.then),
            completes=tuple(ending.completes),
            arguments=ending.arguments,
        )

    def ending(self, claim: Claim, now: float) -> Ending:
        """The ending to settle, of an attempt that ended at this monotonic moment."""
        return Ending(
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
        )


VERDICT = TypeAdapter(Verdict)
CLAIM = TypeAdapter(Claim)


class Line:
    """One end of the socket. ``send`` from any thread; ``receive`` from one."""

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
        """The next message; None when none came in time.

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
