"""The job under a limit by key, as jobledger has it. Apart from the others: a worker that knows it claims otherwise."""

from __future__ import annotations

from benchmarks.peers import body
from benchmarks.peers.peer import KEYED_MOST
from jobs import Job, Limit


class KeyedNoop(Job, limits=Limit(KEYED_MOST, by="account")):
    """Does nothing, some at once for each account."""

    account: int
    a: int
    b: str

    def perform(self) -> None:
        body.noop(self.a, self.b)
