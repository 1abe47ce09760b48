"""QueueView: a queue of a LedgerBroker, as tests look at those of dramatiq's StubBroker."""

from __future__ import annotations

from queue import Empty
from typing import TYPE_CHECKING, Any, Protocol

from dramatiq.message import Message

from jobs.messages.encoding import read_message

if TYPE_CHECKING:
    from jobs.app import App

POLL_SECONDS = 0.02


class Recorder(Protocol):
    """The part of LedgerBroker that this module needs."""

    @property
    def app(self) -> App: ...

    def record(self, message: Message[Any]) -> None: ...


class QueueView:
    """A value of ``broker.queues``. It stores nothing: each call queries the ledger."""

    def __init__(self, broker: Recorder, name: str) -> None:
        self._broker = broker
        self.name = name

    def qsize(self) -> int:
        """Number of messages that are ready now; delayed messages are not counted."""
        from jobs.ledger.runs import messages

        with self._broker.app.database.read() as connection:
            return messages.counts(connection, self.name)[0]

    def empty(self) -> bool:
        return self.qsize() == 0

    @property
    def unfinished_tasks(self) -> int:
        """Number of messages that wait or are performed."""
        from jobs.ledger.runs import messages

        with self._broker.app.database.read() as connection:
            return messages.unfinished(connection, self.name)

    def put(self, data: bytes) -> None:
        """Record an encoded message, without the hooks of ``enqueue``."""
        self._broker.record(Message.decode(data))

    def get(self, block: bool = True, timeout: float | None = None) -> bytes:
        """Remove the next message and return it: its run is cancelled.

        Raises:
            queue.Empty: no message came within the timeout.
        """
        from jobs.ledger.runs import messages

        clock = self._broker.app.clock
        until = None if timeout is None else clock.monotonic() + timeout
        while True:
            with self._broker.app.database.write() as connection:
                taken = messages.take_next(connection, self.name)
            if taken is not None:
                message, _ = read_message(
                    taken.arguments, queue=self.name, actor=taken.kind, run_id=taken.run_id, made_at=taken.created_at
                )
                return message.encode()
            if not block or (until is not None and clock.monotonic() >= until):
                raise Empty
            clock.sleep(POLL_SECONDS)
