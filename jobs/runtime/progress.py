"""Progress that a job reports: stored once a second at most, and at the end of its attempt."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections import deque
from concurrent.futures import Future
from typing import Any

from jobs.database.semaphore import on_loop
from jobs.ledger.effects.cursors import write_progress
from jobs.runtime import own_threads
from jobs.runtime.transaction import Performing

log = logging.getLogger("jobs.run")

WRITE_SECONDS = 1.0
"""Seconds between two writes of progress. Source: design; a job that reports each row must stay fast."""
MAX_MESSAGE = 500


class Progress:
    """The progress of one attempt. Best effort: a failure here never fails the job."""

    __slots__ = ("_last", "_run", "_writing", "_written_monotonic")

    def __init__(self, run: Performing) -> None:
        self._run = run
        self._written_monotonic = float("-inf")
        # At most one unwritten report: pop and append of a deque are atomic.
        self._last: deque[str] = deque(maxlen=1)
        self._writing: Future[None] | None = None

    def report(self, done: Any, total: Any, message: Any) -> None:
        """Remember the report, and write it if the last write is a second old; on an event loop without waiting."""
        self._last.append(json.dumps({"done": _number(done), "total": _number(total), "message": _text(message)}))
        now = self._run.app.clock.monotonic()
        if self._run.open_session is not None or now - self._written_monotonic < WRITE_SECONDS:
            return
        if not on_loop():
            self.write()
        elif self._writing is None or self._writing.done():
            self._writing = own_threads.submit(self.write)
        self._written_monotonic = now

    def write(self) -> None:
        """Write the unwritten report, if there is one."""
        run = self._run
        try:
            text = self._last.pop()
        except IndexError:
            return
        try:
            if run.written is not None:
                # In a savepoint, so that a refused report does not undo the job's own writes.
                with run.written.ours() as ours, ours.begin_nested():
                    write_progress(ours, run.id, run.token, text)
                return
            with run.app.database.write() as connection:
                write_progress(connection, run.id, run.token, text)
        except Exception as error:
            log.warning("Progress not written", extra={"kind": run.kind, "reason": str(error)})

    async def write_last(self) -> None:
        """``write`` at the end of an async attempt; waits first for a write that is under way."""
        if self._writing is not None and not self._writing.done():
            await asyncio.wait([asyncio.wrap_future(self._writing)])
        if self._last:
            await (own_threads.hold if self._run.session is not None else own_threads.step)(self.write)


def _number(value: Any) -> int | float | None:
    """A number that JSON can hold; None for others, such as a total of NaN."""
    if value is None or isinstance(value, str | bytes):
        return None
    try:
        as_float = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if not math.isfinite(as_float):
        return None
    return int(value) if isinstance(value, int) else as_float


def _text(value: Any) -> str | None:
    """Text that every database can hold: no NUL and no lone surrogate."""
    if value is None:
        return None
    return str(value)[:MAX_MESSAGE].replace("\0", "\ufffd").encode(errors="replace").decode() or None
