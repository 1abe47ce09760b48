"""Uses of libraries that a fork waits for.

SQLite and pydantic's core have locks in the memory of the process, and do not look after them around a fork. A child
that is forked while another thread is inside them would have a copy of a lock that nothing in it ever releases, and
would hang at its first job.
"""

from __future__ import annotations

import threading
from types import TracebackType

from jobs import fork_hooks
from jobs.clock import SystemClock

FORK_SECONDS = 5.0
"""How long a fork waits for other threads, and they for it. Source: decision; as long as for turns of SQLite."""
POLL_SECONDS = 0.001
_CLOCK = SystemClock()


class Uses:
    """Uses of one library. ``with`` it around each: a fork waits until no other thread is inside.

    Reentrant, and no lock: several threads are inside at once. It costs some 0.3 µs.
    """

    def __init__(self) -> None:
        self._inside: dict[int, int] = {}
        self._is_forking = False
        fork_hooks.register(before=self._hold, in_parent=self._let_go, in_child=self._forget_the_parent)

    def __enter__(self) -> None:
        thread, inside = threading.get_ident(), self._inside
        depth = inside.get(thread, 0)
        inside[thread] = depth + 1
        # Entered first and looked after that: either the fork sees this thread, or this thread sees the fork.
        if self._is_forking and not depth:
            self._wait(thread)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        thread, inside = threading.get_ident(), self._inside
        depth = inside.get(thread, 0)
        if depth > 1:
            inside[thread] = depth - 1
        else:
            inside.pop(thread, None)

    def _wait(self, thread: int) -> None:
        until = _CLOCK.monotonic() + FORK_SECONDS
        while self._is_forking and _CLOCK.monotonic() < until:
            self._inside.pop(thread, None)
            _CLOCK.sleep(POLL_SECONDS)
            self._inside[thread] = 1

    def _hold(self) -> None:
        self._is_forking = True
        mine, until = threading.get_ident(), _CLOCK.monotonic() + FORK_SECONDS
        while others := self._inside.keys() - {mine}:
            if _CLOCK.monotonic() > until:
                # One that was interrupted at its first step never leaves. It must not delay the next fork too.
                for thread in others:
                    self._inside.pop(thread, None)
                break
            _CLOCK.sleep(POLL_SECONDS)

    def _let_go(self) -> None:
        self._is_forking = False

    def _forget_the_parent(self) -> None:
        self._is_forking = False
        mine = threading.get_ident()
        for thread in self._inside.keys() - {mine}:
            del self._inside[thread]


sqlite_uses = Uses()
serializer_uses = Uses()
