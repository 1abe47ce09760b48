"""AttemptLog: the lines of one attempt. The first and the last are kept, and the others are counted."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

MAX_LINE = 4_000
"""Characters of one line. Source: decision; as much as a traceback of thirty frames."""
MAX_LINES = 1_000
"""Lines kept of an attempt, half of them from its start. Source: decision; a page that a browser shows at once."""
_HALF = MAX_LINES // 2
PRINTED = logging.INFO
"""The level of what a job prints."""


_LASTING = frozenset({str, int, float, bool, type(None), UUID, Decimal, date, datetime, time, timedelta})
"""Types whose values cannot change, so that a line with them may be formatted later."""
MAX_LASTING = 200
"""Characters of a text that waits to be formatted. Source: decision; a thousand of such lines take little memory."""


class Line(NamedTuple):
    """One line: its number in the attempt from 1, and its moment by the monotonic clock."""

    number: int
    monotonic: float
    level: str
    source: str
    text: str
    size: int


_Stored = tuple[int, float, str, str, str, int]
"""A ``Line`` before it is read: making a named tuple takes ten times as long."""
_Unformatted = tuple[int, float, str, str, str, int, tuple[object, ...]]
"""The same before it is formatted. Of ten thousand lines most are never read."""


class AttemptLog:
    """Collects the lines of one attempt, from any thread.

    Args:
        monotonic: the clock.
        max_bytes: of all kept lines together; half for the first ones, half for the last.
        level: records of ``logging`` below this level are not kept; None: only what is passed to ``Run.log`` is.
    """

    def __init__(self, monotonic: Callable[[], float], *, max_bytes: int, level: int | None = None) -> None:
        self.level = level
        self.hide: Callable[[str], str] | None = None
        """Takes out of a line what the run's arguments have sealed."""
        self.count = 0
        self._monotonic = monotonic
        self._half_bytes = max_bytes // 2
        self._lock = threading.Lock()
        self._is_closed = False
        self._head: list[_Stored] = []
        self._head_bytes = 0
        self._head_is_full = False
        self._tail: deque[_Stored | _Unformatted] = deque()
        self._tail_bytes = 0
        self._unfinished: dict[str, str] = {}

    def add(self, level: str, source: str, text: str) -> None:
        """Add one line; a text of several lines, such as a traceback, stays together."""
        text, size = self._shown(text)
        with self._lock:
            if self._is_closed:
                return
            self.count += 1
            line = (self.count, self._monotonic(), level, source, text, size)
            if not self._head_is_full:
                if self._head_bytes + size <= self._half_bytes and len(self._head) < _HALF:
                    self._head.append(line)
                    self._head_bytes += size
                    return
                self._head_is_full = True
            self._tail.append(line)
            self._tail_bytes += size
            while self._tail_bytes > self._half_bytes or len(self._tail) > _HALF:
                self._tail_bytes -= self._tail.popleft()[5]

    def add_formatted(self, level: str, source: str, message: object, args: object) -> None:
        """Add ``message % args``. Behind the head it is formatted when somebody reads it: most lines never are."""
        if self._head_is_full and type(message) is str and type(args) is tuple and len(message) <= MAX_LASTING:
            for one in args:
                kind = type(one)
                if kind is not int and (len(one) > MAX_LASTING if kind is str else kind not in _LASTING):
                    break
            else:
                with self._lock:
                    if self._is_closed:
                        return
                    self.count = number = self.count + 1
                    tail = self._tail
                    tail.append((number, self._monotonic(), level, source, message, 0, args))
                    if len(tail) > _HALF:
                        self._tail_bytes -= tail.popleft()[5]
                return
        self.add(level, source, formatted(message, args))

    def printed(self, stream: str, text: str) -> None:
        """Add what was written to ``stream``, as whole lines; the rest waits for its end."""
        with self._lock:
            *lines, rest = (self._unfinished.pop(stream, "") + text).split("\n")
            if len(rest) > MAX_LINE:
                lines, rest = [*lines, rest], ""
            if rest:
                self._unfinished[stream] = rest
        for line in lines:
            self.add("INFO", stream, line.removesuffix("\r"))

    def kept_lines(self) -> list[Line]:
        """The lines that are kept so far."""
        with self._lock:
            head, tail = list(self._head), list(self._tail)
        found: deque[Line] = deque()
        left = self._half_bytes
        for one in reversed(tail):
            line = self._formatted(one)
            left -= line.size
            if left < 0:
                break
            found.appendleft(line)
        return [*(Line(*one) for one in head), *found]

    def close(self) -> None:
        """Take no more lines: the attempt has ended."""
        unfinished, self._unfinished = self._unfinished, {}
        for stream, text in unfinished.items():
            self.add("INFO", stream, text)
        with self._lock:
            self._is_closed = True

    def _shown(self, text: str) -> tuple[str, int]:
        """A text as it is kept, and its bytes."""
        if self.hide is not None:
            text = self.hide(text)
        if len(text) > MAX_LINE:
            text = text[:MAX_LINE] + "…"
        return text, len(text) if text.isascii() else len(text.encode("utf-8", "replace"))

    def _formatted(self, one: _Stored | _Unformatted) -> Line:
        if len(one) == 6:
            return Line(*one)
        number, monotonic, level, source, message, _, args = one
        return Line(number, monotonic, level, source, *self._shown(formatted(message, args)))


def formatted(message: object, args: object) -> str:
    """``message % args`` as ``logging`` does it. Never raises: a job must not fail because of a log line."""
    try:
        text = str(message)
        return text % args if args else text
    except Exception:
        try:
            return f"{message!r} {args!r}"
        except Exception:
            return "(a line that cannot be formatted)"


def level_name(level: int | str) -> str:
    """The name of a level: ``INFO``, or ``Level 15`` for one without a name."""
    if isinstance(level, str):
        return level.upper()[:20]
    return logging.getLevelName(level)
