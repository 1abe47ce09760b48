"""Backpressure: before runs are inserted, checks that their queues and kinds have room for them.

Where nothing has a limit this costs a comparison, and one small query of each process in five seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING

from jobs.app import App
from jobs.backlogs import Look
from jobs.definition.max_waiting import MaxWaiting, check_on_full, max_waiting_kinds
from jobs.errors import EnqueueRefused, QueueFull
from jobs.formats.shown import shown
from jobs.ledger.records import NewRun
from jobs.runtime.off_loop import off_loop

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger("jobs.enqueue")

FULL_TIMEOUT = timedelta(seconds=10)
"""How long ``on_full="wait"`` waits if the caller says nothing. Source: decision; less than most requests may take."""
MAX_FULL_TIMEOUT = timedelta(days=1)
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5
"""Seconds between two looks of a caller that waits. Source: decision; each look counts up to the limit."""
_NO_LIMIT = MaxWaiting(None, "raise")


class Full:
    """What a call does when a queue or kind is full: what it says, else what the class of each run says."""

    def __init__(
        self,
        on_full: str | None = None,
        timeout: timedelta | None = None,
        *,
        may_wait: bool = True,
        may_drop: bool = True,
    ) -> None:
        check_on_full(on_full)
        if timeout is not None and (
            not isinstance(timeout, timedelta) or not timedelta(0) <= timeout <= MAX_FULL_TIMEOUT
        ):
            raise EnqueueRefused(f"full_timeout= takes a timedelta from zero to a day, got {shown(timeout)}.")
        if timeout is not None and on_full in ("raise", "drop"):
            raise EnqueueRefused(f"full_timeout= does not go with on_full={on_full!r}.", hint="on_full='wait' waits.")
        self._on_full = on_full
        self.timeout = FULL_TIMEOUT if timeout is None else timeout
        self._may_wait = may_wait
        self._may_drop = may_drop

    def without_waiting(self) -> Full:
        """The same inside an open transaction, which must not wait: workers may need what it has locked."""
        return Full(self._on_full, may_wait=False, may_drop=self._may_drop)

    def action(self, run: NewRun) -> str:
        """``raise``, ``drop`` or ``wait``."""
        found = self._on_full or max_waiting_kinds.get(run.kind, _NO_LIMIT).on_full
        is_refused = (found == "wait" and not self._may_wait) or (found == "drop" and not self._may_drop)
        return "raise" if is_refused else found


ASK_CLASS = Full()
"""For calls that say nothing."""
AT_ONCE = Full("raise")
"""For operators: they see that it is full."""
ALL_OR_NONE = Full(may_drop=False)
"""For runs that belong together: what their classes say, but none is dropped."""


def may_be_limited(app: App) -> bool:
    """Whether a queue or kind may have a limit: then ``make_room`` decides."""
    backlogs = app.backlogs
    return bool(backlogs.by_queue or max_waiting_kinds) or app.clock.monotonic() >= backlogs.read_until


def make_room(app: App, runs: Sequence[NewRun], full: Full, look: Look | None = None) -> list[bool]:
    """Which of ``runs`` to insert, in their order; the others are dropped. Waits as ``full`` says.

    Args:
        look: opens a connection to count with; None takes one of the pool. Inside a transaction, give its own.

    Raises:
        QueueFull: there is no room; none is to be inserted.
        ServiceDown: the ledger does not answer.
    """
    looks = _Looks(app, runs, full, look or app.database.read)
    if not runs:
        return []
    while (pause := looks.next()) is not None:
        app.clock.sleep(pause)
    return looks.has_room


async def make_room_async(app: App, runs: Sequence[NewRun], full: Full) -> list[bool]:
    """``make_room`` without blocking the event loop."""
    looks = _Looks(app, runs, full, app.database.read)
    while (pause := await off_loop(looks.next)) is not None:
        await asyncio.sleep(pause)
    return looks.has_room


def inside(connection: Connection) -> Callable[[], AbstractContextManager[Connection]]:
    """Looks by a connection in its own transaction, which stays usable if a look fails."""

    @contextmanager
    def look() -> Iterator[Connection]:
        # A statement that fails ends a transaction on PostgreSQL only. On SQLite the driver may not have begun one, and
        # would commit with the SAVEPOINT.
        with connection.begin_nested() if connection.dialect.name == "postgresql" else nullcontext():
            yield connection

    return look


class _Looks:
    """One call that asks for room until it has it, or its time is over."""

    def __init__(self, app: App, runs: Sequence[NewRun], full: Full, look: Look) -> None:
        self.has_room: list[bool] = [True] * len(runs)
        self._app = app
        self._runs = runs
        self._full = full
        self._look = look
        self._pause = FIRST_PAUSE
        self._until: float | None = None

    def next(self) -> float | None:
        """Look. Returns the seconds to wait before the next look; None if it is decided."""
        app, backlogs, runs = self._app, self._app.backlogs, self._runs
        if app.clock.monotonic() >= backlogs.read_until:
            backlogs.read(app.clock, self._look)
        if not backlogs.by_queue and not max_waiting_kinds:
            return None
        has_room, error = backlogs.admit(app.clock, self._look, runs)
        if error is None:
            return None
        refused = {self._full.action(run) for run, fits in zip(runs, has_room, strict=True) if not fits}
        if refused == {"drop"}:
            self.has_room = has_room
            log.warning(
                "Runs dropped, because their queue is full",
                extra={error.what: error.name, "runs": has_room.count(False), "max_waiting": error.max_waiting},
            )
            return None
        backlogs.withdraw([run for run, fits in zip(runs, has_room, strict=True) if fits])
        if "raise" in refused:
            raise error
        return self._wait(error)

    def _wait(self, error: QueueFull) -> float:
        now = self._app.clock.monotonic()
        if self._until is None:
            self._until = now + self._full.timeout.total_seconds()
        if now >= self._until or not self._app.backlogs.can_ever_hold(self._runs):
            raise error
        pause = min(self._pause, self._until - now)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        return pause
