"""One of the places that a supervisor keeps filled."""

from __future__ import annotations

from dataclasses import dataclass

from worker.member import Member
from worker.restart import BackOff


@dataclass(slots=True, eq=False)
class Seat:
    """``member`` fills it; ``successor`` is started beside it and takes over when it is ready."""

    number: int
    back_off: BackOff
    member: Member | None = None
    successor: Member | None = None
    start_at: float = 0.0
    """No start before this moment: it backs off. Monotonic."""

    def take_over(self) -> Member | None:
        """The successor fills the seat; who filled it until now."""
        before, self.member, self.successor = self.member, self.successor, None
        return before

    def forget(self, member: Member) -> bool:
        """The process leaves or is dead; whether it was the one that filled the seat."""
        if self.successor is member:
            self.successor = None
        if self.member is not member:
            return False
        self.member = None
        return True
