"""A queue of the writers of one SQLite file, across the threads and processes of one host.

SQLite lets one writer in at a time and makes the others sleep and try again, in no order: with four processes
one got 200 of 20,000 runs. Here writers first queue on lock files next to the database, and only then
``BEGIN IMMEDIATE``:

    ordinary   gate ── nobody urgent? ── write ── BEGIN IMMEDIATE … COMMIT    a batch: claim, settle
    urgent          ── urgent         ── write ── BEGIN IMMEDIATE … COMMIT    a lease renewal, a cancel

A writer at the gate waits for the whole turn of the writer before it. An urgent writer skips the gate and waits only
for the current writer. The next writer from the gate waits for urgent ones, but only for a limited time.

The locks give order, not safety: SQLite's own locks still guard the data against writers that do not use this queue,
and when a user deletes the lock files. The kernel releases a lock when its holder dies.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from jobs import fork_hooks
from jobs.clock import Clock, SystemClock
from jobs.database.sqlite.lock_waiter import LockWaiter
from jobs.database.sqlite.locks import close_locks, free_turn, open_locks, take_turn
from jobs.errors import ConfigurationError, Conflict, LedgerBusy

turn_holder: ContextVar[object] = ContextVar("jobs_turn_holder", default=None)
"""Owner of a turn that is held longer than one call of a thread: the token of the run that is performed."""

_held: set[tuple[Path, object]] = set()
"""The holders of turns, by file: a thread's id, or the ``owner`` that the turn was taken for."""


class WriteQueue:
    """The queue of writers of one SQLite file. One per process and file is enough.

    Opens nothing until the first turn, so a process that only reads leaves no lock files. A forked child opens its own,
    because an inherited lock would outlive the parent that holds it; a turn during the fork stays the parent's.
    """

    def __init__(self, database_path: str | os.PathLike[str], *, clock: Clock | None = None) -> None:
        self.path = Path(database_path).absolute()
        self._clock: Clock = clock or SystemClock()
        self._lines: tuple[_Line, ...] = ()
        self.start_afresh()
        _queues.add(self)

    @property
    def is_open(self) -> bool:
        """Whether there has been a turn, so that the lock files exist."""
        return any(line.is_open for line in self._lines)

    @contextlib.contextmanager
    def turn(self, urgent: bool = False, limit_seconds: float = 5.0, *, owner: object | None = None) -> Iterator[None]:
        """Hold the turn while the block runs: begin, write and commit inside it, and nothing else.

        Args:
            urgent: skip the queue; for short writes that others depend on, never for batches.
            limit_seconds: the longest wait for the turn, above zero; it does not limit the block.
            owner: the holder of the turn, if it may end on another thread; otherwise this thread.

        Raises:
            LedgerBusy: others kept the turn for the whole time limit.
            Conflict: this thread, or the ``turn_holder`` here, has the turn already; a second transaction would wait
                for itself.
            ConfigurationError: the lock files cannot be opened for writing, or the file system has no locks.
        """
        if not limit_seconds > 0:
            raise ValueError(f"limit_seconds must be above zero, got {limit_seconds!r}")
        thread = threading.get_ident()
        if (self.path, thread) in _held or (self.path, turn_holder.get()) in _held:
            raise Conflict(
                f"This thread or run is already writing to {self.path}, and SQLite has one writer at a time.",
                hint="Use the transaction that is open: pass its session (session=…).",
            )
        line = self._lines[urgent]
        held = (self.path, thread if owner is None else owner)
        line.join(limit_seconds, self._clock)
        try:
            _held.add(held)
            yield
        finally:
            _held.discard(held)
            line.leave()

    def turn_locks(self) -> list[threading.Lock]:
        """The lock that a thread of this process holds while it has a turn or waits for one."""
        return [line.turn_lock for line in self._lines]

    def close(self) -> None:
        """Close the lock files, except those of a turn that is held or waited for. A later turn opens them again."""
        for line in self._lines:
            line.close()

    def start_afresh(self) -> None:
        """Forget every turn without ending it: for a forked child, because the turns are the parent's."""
        for line in self._lines:
            line.forget()
        self._lines = (_Line(self.path, is_urgent=False), _Line(self.path, is_urgent=True))


class _Line:
    """Threads of one process that want the same locks; only one of them at a time uses the files.

    A lock belongs to an open file, not to a thread: ordinary and urgent writers of one process have open
    files of their own and exclude each other as two processes do.
    """

    def __init__(self, database: Path, *, is_urgent: bool) -> None:
        self._database = database
        self._is_urgent = is_urgent
        self.turn_lock = threading.Lock()
        self._files: list[int] = []
        self._waiter: LockWaiter | None = None

    @property
    def is_open(self) -> bool:
        return bool(self._files)

    def join(self, limit_seconds: float, clock: Clock) -> None:
        """Wait for every lock of this line, in order.

        Raises:
            LedgerBusy: not within ``limit_seconds``.
        """
        until = clock.monotonic() + limit_seconds
        if not self.turn_lock.acquire(timeout=limit_seconds):
            raise self._busy(limit_seconds, "this process")
        try:
            if not self._files:
                self._files = open_locks(self._database)
            if not self._is_waiting() and self._lock_at_once():
                return
            if not self._wait(until - clock.monotonic()):
                raise self._busy(limit_seconds, "another process")
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Pass the turn to the next writer."""
        if self._waiter is None:
            free_turn(self._files)
        self.turn_lock.release()

    def close(self) -> None:
        if not self.turn_lock.acquire(blocking=False):
            return
        try:
            waiter, files = self._waiter, self._files
            self.forget()
            if waiter is None or not waiter.closes(files):
                close_locks(files)
        finally:
            self.turn_lock.release()

    def forget(self) -> None:
        """Drop the files without unlocking or closing them."""
        self._files = []
        self._waiter = None

    def _is_waiting(self) -> bool:
        """Whether an abandoned wait is still going on; then it is ours, with its place in the queue."""
        if self._waiter is not None and not self._waiter.is_taken_up():
            self._waiter = None
        return self._waiter is not None

    def _lock_at_once(self) -> bool:
        """Take the turn if it is free. If not, some of its locks may be held already."""
        try:
            take_turn(self._files, is_urgent=self._is_urgent, wait=False)
        except BlockingIOError:
            return False
        except OSError as err:
            raise ConfigurationError(
                f"The file system of {self._database} cannot lock files: {err.strerror}.",
                hint="Keep the ledger on a local disk, or use PostgreSQL.",
            ) from err
        return True

    def _wait(self, limit_seconds: float) -> bool:
        """Wait in the kernel's queue. False when the time is over; the next caller then inherits the place."""
        if self._waiter is None:
            self._waiter = LockWaiter(self._files, is_urgent=self._is_urgent)
        try:
            self._waiter.wait(limit_seconds)
        finally:
            # Also when an interrupt arrives here: a thread that still waits for the locks owns them.
            has_ended = self._waiter.give_up()
            if has_ended:
                self._waiter = None
        return has_ended

    def _busy(self, limit_seconds: float, who: str) -> LedgerBusy:
        return LedgerBusy(
            f"The ledger {self._database} was kept locked by {who} for {limit_seconds:g} s.",
            hint="Try again; if that does not help, look for a process that hangs in a transaction.",
        )


_queues: weakref.WeakSet[WriteQueue] = weakref.WeakSet()


FORK_SECONDS = 5.0
"""How long a fork waits for the turns of other threads. Source: the default wait for a turn."""
_stopped: list[threading.Lock] = []


def _stop_writers() -> None:
    """Before a fork: wait until no other thread of this process is inside a turn.

    SQLite stores the locks of its connections in the process's memory. A child that is forked during a turn would have
    a copy with a lock that nothing in it ever releases, and could never write.
    """
    clock = SystemClock()
    until = clock.monotonic() + FORK_SECONDS
    mine = {threading.get_ident(), turn_holder.get()}
    busy = {path for path, owner in _held if owner in mine}
    for queue in list(_queues):
        # A turn of the forking thread cannot end before the fork, so the child must not write.
        for lock in queue.turn_locks() if queue.path not in busy else ():
            if lock.acquire(timeout=max(0.0, until - clock.monotonic())):
                _stopped.append(lock)


def _let_writers_go() -> None:
    while _stopped:
        _stopped.pop().release()


def _forget_the_parent() -> None:
    """In a forked child, whose lock files are closed already: start with empty queues."""
    _stopped.clear()
    for queue in _queues:
        queue.start_afresh()
    _held.clear()


fork_hooks.register(before=_stop_writers, in_parent=_let_writers_go, in_child=_forget_the_parent)
