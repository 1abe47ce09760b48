"""dramatiq on Redis, by its own command, with default settings and with the prefetch at which it is fastest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.peers import body
from benchmarks.peers.peer import THREADS, Calls, Peer, Place, Servers

PREFETCH = "256"


def broker() -> Any:
    """What the command serves."""
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    made = RedisBroker(url=Place.of_environment().redis)
    dramatiq.set_broker(made)
    dramatiq.actor(body.noop, actor_name="noop")
    dramatiq.actor(body.late, actor_name="late")
    return made


class Dramatiq(Peer):
    package = "dramatiq"
    requires = ("dramatiq[redis]==2.2.1",)
    keeps = "nothing"
    is_durable = False

    def __init__(self, adapter: str) -> None:
        super().__init__(adapter)
        self.is_tuned = adapter != "dramatiq"
        self.name = f"dramatiq, prefetch {PREFETCH}" if self.is_tuned else "dramatiq"

    def settings(self, place: Place) -> dict[str, str]:
        return {"dramatiq_queue_prefetch": PREFETCH} if self.is_tuned else {}

    @asynccontextmanager
    async def client(self, place: Place) -> AsyncIterator[Calls]:
        made = broker()
        noop, late = made.get_actor("noop"), made.get_actor("late")

        async def one(number: int) -> None:
            noop.send(number, body.TEXT)

        async def timed(sent: float) -> None:
            late.send(sent)

        yield Calls(one, timed)

    def workers(self, processes: int) -> list[list[str]]:
        command = ["-m", "dramatiq", "benchmarks.peers.adapters.dramatiq:broker"]
        return [[*command, "--processes", str(processes), "--threads", str(THREADS)]]

    def left(self, servers: Servers) -> bool:
        return bool(servers.redis("HLEN", "dramatiq:default.msgs"))


peer = Dramatiq
