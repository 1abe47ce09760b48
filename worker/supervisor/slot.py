"""Slot: one place for a worker process that the supervisor keeps filled."""

from __future__ import annotations

from dataclasses import dataclass

from worker.supervisor.process_handle import ProcessHandle
from worker.supervisor.restart import BackOff


@dataclass(slots=True, eq=False)
class ProcessSlot:
    """``handle`` fills the slot; ``successor`` is starting and replaces it when it is ready."""

    number: int
    back_off: BackOff
    handle: ProcessHandle | None = None
    successor: ProcessHandle | None = None
    start_at: float = 0.0
    """The back-off allows no start before this moment. Monotonic."""

    def take_over(self) -> ProcessHandle | None:
        """Put the successor into the slot. Returns the process that it replaces."""
        before, self.handle, self.successor = self.handle, self.successor, None
        return before

    def forget(self, handle: ProcessHandle) -> bool:
        """Remove a process that leaves or is dead. Returns whether it filled the slot."""
        if self.successor is handle:
            self.successor = None
        if self.handle is not handle:
            return False
        self.handle = None
        return True
