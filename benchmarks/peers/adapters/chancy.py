"""chancy: coroutines in the worker's process (its AsyncExecutor), which polls again as soon as a job has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.peers import body
from benchmarks.peers.peer import COROUTINES, Calls, Peer, Place, Servers

LEFT = "select exists (select from chancy_jobs where state in ('pending', 'running', 'retrying'))"
EXECUTOR = "chancy.executors.asyncex.AsyncExecutor"


async def noop(*, a: int, b: str) -> None:
    body.noop(a, b)


async def late(*, sent: float) -> None:
    body.late(sent)


class Chancy(Peer):
    name = "chancy"
    package = "chancy"
    requires = ("chancy==0.26.0", "psycopg[binary]==3.3.9")
    keeps = "the row"

    async def prepare(self, place: Place) -> None:
        from chancy import Chancy as Library
        from chancy import Queue

        queue = Queue("default", concurrency=COROUTINES, executor=EXECUTOR, eager_polling=True)
        async with Library(place.postgres) as chancy:
            await chancy.migrate()
            await chancy.declare(queue)

    @asynccontextmanager
    async def client(self, place: Place) -> AsyncIterator[Calls]:
        from chancy import Chancy as Library
        from chancy import job

        made, timed = job(queue="default")(noop).job, job(queue="default")(late).job

        def one(number: int) -> Any:
            return made.with_kwargs(a=number, b=body.TEXT)

        async with Library(place.postgres) as chancy:

            async def many(numbers: range) -> None:
                async for _ in chancy.push_many([one(number) for number in numbers]):
                    pass

            yield Calls(
                lambda number: chancy.push(one(number)),
                lambda sent: chancy.push(timed.with_kwargs(sent=sent)),
                many,
            )

    def work(self, place: Place) -> None:
        from chancy import Chancy as Library
        from chancy import Worker

        async def serve() -> None:
            async with Library(place.postgres) as chancy, Worker(chancy) as worker:
                await worker.wait_for_shutdown()

        asyncio.run(serve())

    def left(self, servers: Servers) -> bool:
        return bool(servers.sql(LEFT))


peer = Chancy
