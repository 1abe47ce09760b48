"""Cursor: a long job stores its position, so that a later attempt continues from there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from jobs.errors import Snooze
from jobs.ledger.effects import cursors
from jobs.runtime import own_threads
from jobs.runtime.steps import write_result
from jobs.runtime.transaction import Performing, Written, open_transaction, open_transaction_async

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

T = TypeVar("T")
SAVE_EVERY = timedelta(seconds=1)


class Cursor:
    """A run's stored position under a name. ``value`` is what the last ``advance`` set, in any attempt."""

    def __init__(self, run: Performing, name: str, start: Any) -> None:
        self._run = run
        self.name = name
        with run.app.database.read() as connection:
            found = cursors.read_cursor(connection, run.id, name)
        self.value: Any = found[0] if found is not None else start
        if found is not None and run.seal is not None:
            self.value = run.seal.step_value(name, found[0])

    def advance(self, *, to: Any) -> Advance:
        """Commit the writes of the block together with the cursor's move, without ending the run.

        ``async with`` in async jobs. The same commit enqueues the runs that the block enqueues.

        Raises:
            LeaseLost: another attempt has the run; nothing of the block is committed.
            Conflict: a transaction is open already.
        """
        return Advance(self._run, partial(self._move, to))

    @contextmanager
    def _move(self, to: Any, written: Written) -> Iterator[Session]:
        run = self._run
        # Errors of the application's own statements stay as they are, for its retry policy to match.
        run.chunk = written
        try:
            text = write_result(to, what=f"Cursor {self.name!r}", max_bytes=run.app.settings.max_result_bytes)
            yield written.session
            written.session.flush()
            with run.app.database.translated(), written.ours() as ours:
                stored = text if run.seal is None else run.seal.step_text(self.name, text)
                cursors.move_cursor(ours, run.id, run.token, self.name, attempt=run.attempt, to=stored)
        except BaseException:
            written.rollback()
            raise
        finally:
            run.chunk = None
        with run.app.database.translated():
            written.commit()
        self.value = json.loads(text)


class Advance:
    """The block of ``cursor.advance()``: ``with`` in jobs, ``async with`` in async ones."""

    def __init__(self, run: Performing, move: Callable[[Written], AbstractContextManager[Session]]) -> None:
        self._run = run
        self._move = move

    def __enter__(self) -> Session:
        self._run.refuse_inside("advance()")
        self._block = self._move(open_transaction(self._run))
        return self._block.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._block.__exit__(kind, error, trace)

    async def __aenter__(self) -> Session:
        self._run.refuse_inside("advance()")
        self._block = self._move(await open_transaction_async(self._run))
        return self._block.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await own_threads.hold(self._block.__exit__, kind, error, trace)


def checkpointed(run: Performing, items: Iterable[T], name: str, every: timedelta) -> Iterator[T]:
    """The items that no earlier attempt has finished; see ``Run.checkpointed``."""
    cursor = Cursor(run, name, 0)
    clock = run.app.clock
    done = saved = int(cursor.value)
    saved_at = clock.monotonic()

    def save() -> None:
        nonlocal saved, saved_at
        if done > saved:
            with cursor.advance(to=done):
                pass
            saved, saved_at = done, clock.monotonic()

    for place, item in enumerate(items):
        if place < done:
            continue
        yield item
        done = place + 1
        if run.should_stop:
            save()
            raise Snooze(timedelta(0), reason="the worker is stopping; the next attempt continues from here")
        if clock.monotonic() - saved_at >= every.total_seconds():
            save()
    save()
