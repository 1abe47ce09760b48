"""Counts signals for a loop that reads them when it wakes; a handler only counts, so it is safe at any point."""

from __future__ import annotations

import signal
import socket
from types import FrameType
from typing import Any, Self


class Signals:
    """A context in which signals are counted, and wake the loop that polls ``fileno``. Main thread only."""

    def __init__(self, *, stop: tuple[signal.Signals, ...], roll: signal.Signals, wake: signal.Signals) -> None:
        self._stop = stop
        self._roll = roll
        self._wake = wake
        self._stops = 0
        self._stops_told = 0
        self._rolls = 0
        self._before: dict[signal.Signals, Any] = {}
        self._awake, self._waker = socket.socketpair()
        for end in (self._awake, self._waker):
            end.setblocking(False)

    def __enter__(self) -> Self:
        for one in (*self._stop, self._roll, self._wake):
            self._before[one] = signal.signal(one, self._count)
        self._wakeup_before = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._before)  # They were blocked until the handlers were set.
        return self

    def __exit__(self, *error: object) -> None:
        signal.set_wakeup_fd(self._wakeup_before)
        for one, handler in self._before.items():
            signal.signal(one, handler)
        self._awake.close()
        self._waker.close()

    def fileno(self) -> int:
        return self._awake.fileno()

    def drain(self) -> None:
        """Clear the wakeup; the counts stay."""
        try:
            self._awake.recv(4096)
        except BlockingIOError:
            pass

    def stops_asked(self) -> int:
        """How many stop signals came since the last call."""
        new = self._stops - self._stops_told
        self._stops_told += new
        return new

    def roll_asked(self) -> bool:
        """Whether the roll signal came since the last call; several count as one."""
        asked, self._rolls = self._rolls > 0, 0
        return asked

    def _count(self, number: int, frame: FrameType | None) -> None:
        if number in self._stop:
            self._stops += 1
        elif number == self._roll:
            self._rolls += 1
