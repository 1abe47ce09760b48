"""LockWaiter: waits with a time limit for file locks, which the kernel grants in order but without one."""

from __future__ import annotations

import threading

from jobs.database.sqlite.locks import close_locks, free_turn, take_turn
from jobs.errors import LedgerBusy


class LockWaiter(threading.Thread):
    """Waits on a thread of its own for locks that the kernel grants in order, because flock has no time limit.

    Polling needs no thread, but it has no order and lets a batch overtake a renewal. An abandoned wait goes on and is
    reused: a writer that hangs for hours costs the others one thread, not one per attempt.
    """

    def __init__(self, files: list[int], *, is_urgent: bool) -> None:
        super().__init__(name="jobs-sqlite-queue", daemon=True)
        self._files = files
        self._is_urgent = is_urgent
        self._locked = threading.Event()
        self._deciding = threading.Lock()
        self._is_wanted = True
        self._is_over = False
        self._closes = False

    def wait(self, seconds: float) -> None:
        """Return when every lock is held, or the time is over.

        Raises:
            LedgerBusy: no thread can be started to wait, as while the interpreter ends.
        """
        if self.ident is None:
            try:
                self.start()
            except RuntimeError as err:
                raise LedgerBusy(f"The ledger is locked, and nothing can wait for it here: {err}.") from err
        self._locked.wait(max(seconds, 0))

    def give_up(self) -> bool:
        """True if the caller has the locks or never waited for them; False if the thread waits on."""
        with self._deciding:
            self._is_wanted = self._locked.is_set() or self.ident is None
            return self._is_wanted

    def is_taken_up(self) -> bool:
        """Whether the wait is still going on, now for the caller."""
        with self._deciding:
            self._is_wanted = not self._is_over
            return self._is_wanted

    def closes(self, files: list[int]) -> bool:
        """Whether the wait is still going on, and will close ``files`` at its end."""
        with self._deciding:
            self._closes = not self._is_over and files is self._files
            return self._closes

    def run(self) -> None:
        take_turn(self._files, is_urgent=self._is_urgent, wait=True)
        with self._deciding:
            self._is_over = True
            if self._is_wanted:
                self._locked.set()
                return
            free_turn(self._files)
            if not self._closes:
                return
        close_locks(self._files)
