"""huey on Redis, with a consumer of threads. A job leaves Redis when it is taken: nothing tells whether it is done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.peers import body
from benchmarks.peers.peer import THREADS, Calls, Peer, Place, Servers


def application(place: Place) -> tuple[Any, Any, Any]:
    from huey import RedisHuey

    made = RedisHuey("bench", url=place.redis)
    return made, made.task(name="noop")(body.noop), made.task(name="late")(body.late)


class Huey(Peer):
    name = "huey"
    package = "huey"
    requires = ("huey==3.5.4", "redis==8.1.0")
    keeps = "nothing; a job is lost with its worker"
    is_durable = False
    settles = False

    @asynccontextmanager
    async def client(self, place: Place) -> AsyncIterator[Calls]:
        _, noop, late = application(place)

        async def one(number: int) -> None:
            noop(number, body.TEXT)

        async def timed(sent: float) -> None:
            late(sent)

        yield Calls(one, timed)

    def work(self, place: Place) -> None:
        made, _, _ = application(place)
        made.create_consumer(workers=THREADS, worker_type="thread", periodic=False).run()

    def left(self, servers: Servers) -> bool:
        return bool(servers.redis("LLEN", "huey.redis.bench"))


peer = Huey
