"""Stop: waits for SIGTERM or SIGINT. The handlers only set a flag, so they are safe at any point."""

from __future__ import annotations

import select
import signal
import socket
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """A context in which the signals are recorded, and end a wait. Main thread only."""

    def __init__(self) -> None:
        self.is_asked = False
        self._awake, self._waker = socket.socketpair()
        self._before: dict[signal.Signals, Any] = {}
        for end in (self._awake, self._waker):
            end.setblocking(False)

    def __enter__(self) -> Self:
        # Not an Event: the wait that the handler interrupts may hold the event's lock.
        self._wakeup_before = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for one in SIGNALS:
            self._before[one] = signal.signal(one, self._record_signal)
        return self

    def __exit__(self, *error: object) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._awake.close()
        self._waker.close()

    def wait(self, seconds: float) -> bool:
        """Wait for ``seconds``, or until asked to stop. Returns whether a stop was asked for."""
        if not self.is_asked and select.select([self._awake], [], [], seconds)[0]:
            try:
                self._awake.recv(4096)
            except BlockingIOError:
                pass
        return self.is_asked

    def _record_signal(self, number: int, frame: FrameType | None) -> None:
        self.is_asked = True
