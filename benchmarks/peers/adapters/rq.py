"""RQ: its worker that forks no process for a job, the fastest one. Only its limits of concurrency are measured."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.peers import body
from benchmarks.peers.peer import KEYED_MOST, KEYS, Calls, Peer, Place, Servers

QUEUE = "bench"


class Rq(Peer):
    name = "RQ"
    package = "rq"
    requires = ("rq==3.0.0",)
    keeps = "the result, for 500 s"
    is_durable = False
    settles = False
    share = 0.1

    @asynccontextmanager
    async def client(self, place: Place) -> AsyncIterator[Calls]:
        from redis import Redis
        from rq import Queue
        from rq.rate_limit import RateLimit

        queue = Queue(QUEUE, connection=Redis.from_url(place.redis))
        limits = [RateLimit(key=f"account-{number}", concurrency=KEYED_MOST) for number in range(KEYS)]

        async def one(number: int) -> None:
            queue.enqueue(body.noop, number, body.TEXT)

        async def late(sent: float) -> None:
            queue.enqueue(body.late, sent)

        async def keyed(numbers: range) -> None:
            for number in numbers:
                queue.enqueue(body.noop, number, body.TEXT, rate_limit=limits[number % KEYS])

        yield Calls(one, late, keyed=keyed)

    def work(self, place: Place) -> None:
        from redis import Redis
        from rq import SimpleWorker

        SimpleWorker([QUEUE], connection=Redis.from_url(place.redis)).work(logging_level="WARNING")

    def left(self, servers: Servers) -> bool:
        return bool(servers.redis("LLEN", f"rq:queue:{QUEUE}"))


peer = Rq
