"""What a run left behind in its child process that would reach the next one: timers, signals, the current folder."""

from __future__ import annotations

import os
import signal
from typing import Any

_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


class Remains:
    """Knows how the process was when this was made. For its main thread."""

    def __init__(self) -> None:
        self._was = _state()

    def clear(self) -> bool:
        """Stop every timer that was set since. Whether there was one, or anything else is not as it was.

        Such a child is not to be used again. Stopped timers are enough until then: the rest does nothing by itself.
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
