"""Progress that a job reports, stored now and then and at the end of its attempt."""

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

TELL_SECONDS = 1.0
"""Between two writes of progress. Source: design; a job that tells of each row must not pay for each."""
MAX_MESSAGE = 500


class Progress:
    """One attempt's. It is told, not promised: nothing that goes wrong here is the job's."""

    __slots__ = ("_last", "_run", "_told_monotonic", "_writing")

    def __init__(self, run: Performing) -> None:
        self._run = run
        self._told_monotonic = float("-inf")
        # What has not been written, of one at most: its pop and append are atomic.
        self._last: deque[str] = deque(maxlen=1)
        self._writing: Future[None] | None = None

    def note(self, done: Any, total: Any, message: Any) -> None:
        """Keep it, and write it if the last is a second old; on an event loop's thread, without waiting for that."""
        self._last.append(json.dumps({"done": _number(done), "total": _number(total), "message": _text(message)}))
        now = self._run.app.clock.monotonic()
        if self._run.open_session is not None or now - self._told_monotonic < TELL_SECONDS:
            return
        if not on_loop():
            self.write()
        elif self._writing is None or self._writing.done():
            self._writing = own_threads.submit(self.write)
        self._told_monotonic = now

    def write(self) -> None:
        """Write what has not been written, if anything."""
        run = self._run
        try:
            text = self._last.pop()
        except IndexError:
            return
        try:
            if run.written is not None:
                # In a savepoint: what the ledger refuses here must not undo what the job wrote.
                with run.written.ours() as ours, ours.begin_nested():
                    write_progress(ours, run.id, run.token, text)
                return
            with run.app.database.write() as connection:
                write_progress(connection, run.id, run.token, text)
        except Exception as error:
            log.warning("Progress was not written.", extra={"kind": run.kind, "reason": str(error)})

    async def write_last(self) -> None:
        """The same at the end of an async attempt, after what is being written just now."""
        if self._writing is not None and not self._writing.done():
            await asyncio.wait([asyncio.wrap_future(self._writing)])
        if self._last:
            await (own_threads.hold if self._run.session is not None else own_threads.step)(self.write)


def _number(value: Any) -> int | float | None:
    """A number that JSON has; None for what is none, as a total that nobody could tell is (NaN)."""
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
    """Text that every ledger can hold: no NUL, no half of a surrogate pair."""
    if value is None:
        return None
    return str(value)[:MAX_MESSAGE].replace("\0", "\ufffd").encode(errors="replace").decode() or None
