"""Slot: one place for a worker process that the supervisor keeps filled."""

from __future__ import annotations

from dataclasses import dataclass

from worker.supervisor.process_handle import ProcessHandle
from worker.supervisor.restart import BackOff


@dataclass(slots=True, eq=False)
class ProcessSlot:
    """``handle`` fills it; ``successor`` is started beside it and takes over when it is ready."""

    number: int
    back_off: BackOff
    handle: ProcessHandle | None = None
    successor: ProcessHandle | None = None
    start_at: float = 0.0
    """No start before this moment: it backs off. Monotonic."""

    def take_over(self) -> ProcessHandle | None:
        """The successor fills the slot; who filled it until now."""
        before, self.handle, self.successor = self.handle, self.successor, None
        return before

    def forget(self, handle: ProcessHandle) -> bool:
        """The process leaves or is dead; whether it was the one that filled the slot."""
        if self.successor is handle:
            self.successor = None
        if self.handle is not handle:
            return False
        self.handle = None
        return True
