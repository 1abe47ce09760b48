"""The jobs as jobledger has them. Only its own worker and client import this."""

from __future__ import annotations

from benchmarks.peers import body
from jobs import Job


class Noop(Job):
    """Does nothing."""

    a: int
    b: str

    def perform(self) -> None:
        body.noop(self.a, self.b)


class Joined(Job):
    """Joins jobs that do nothing, and reports it."""

    width: int

    def perform(self) -> None:
        body.joined(self.run.gather("parts", [Noop(a=number, b=body.TEXT) for number in range(self.width)]))


class Late(Job):
    """Reports how late it was begun."""

    sent: float

    def perform(self) -> None:
        body.late(self.sent)
