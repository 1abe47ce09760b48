"""Detects what a run leaves in its child process that would affect the next run: timers, signals, the current
folder."""

from __future__ import annotations

import os
import signal
from typing import Any

_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


class Remains:
    """Compares the process with its state when this object was made. For use in its main thread."""

    def __init__(self) -> None:
        self._was = _state()

    def clear(self) -> bool:
        """Stop every timer that was set since. Returns whether there was one, or anything else has changed.

        A changed child must not be used again. Only timers need to be stopped until it exits; the rest is passive.
        """
        ticking = [timer for timer in _TIMERS if signal.getitimer(timer)[0] > 0]
        for timer in ticking:
            signal.setitimer(timer, 0)
        return bool(ticking) or _state() != self._was


def _state() -> tuple[Any, ...]:
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    try:
        folder = os.getcwd()
    except OSError:
        folder = ""
    umask = os.umask(0o077)
    os.umask(umask)
    return handlers, signal.pthread_sigmask(signal.SIG_BLOCK, ()), folder, umask
