"""Thread frames: reads where a thread is now, without the risk that the process hangs for ever.

CPython 3.11 collects garbage when it allocates, also while ``sys._current_frames`` makes its frames under the
lock on the list of threads. A collection may run Python (a ``gc`` callback, a weak reference's) and release the
global lock. A thread that then gets the lock and needs the list (``PyThreadState_SetAsyncExc``, a thread that starts
or ends) waits for the list while it holds the global lock: every thread of the process hangs. Seen in the interrupt
hammer on 3.11.7; github.com/python/cpython/issues/106883. From 3.12 on, collections wait for a safe place.
"""

from __future__ import annotations

import gc
import sys
import threading
from types import FrameType, TracebackType

COLLECTS_WHEN_ALLOCATING = sys.version_info < (3, 12)
_one_at_a_time = threading.Lock()


class Uncollected:
    """A context without garbage collection; one thread at a time may be inside."""

    def __enter__(self) -> None:
        _one_at_a_time.acquire()
        self._was_enabled = COLLECTS_WHEN_ALLOCATING and gc.isenabled()
        if self._was_enabled:
            gc.disable()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._was_enabled:
            gc.enable()
        _one_at_a_time.release()


def frame_of(thread: int) -> FrameType | None:
    """The innermost frame of the thread with that identifier; None when there is no such thread."""
    with Uncollected():
        return sys._current_frames().get(thread)
