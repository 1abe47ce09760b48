"""oban for Python, the free edition: coroutines in one process; several processes are several commands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.peers import body
from benchmarks.peers.peer import COROUTINES, Calls, Peer, Place, Servers

LEFT = "select exists (select from oban_jobs where state in ('available', 'executing', 'scheduled', 'retryable'))"


def jobs() -> tuple[Any, Any]:
    """The two jobs, which must be defined where they are enqueued and where they are performed."""
    from oban import worker

    class Noop:
        async def process(self, job: Any) -> None:
            body.noop(**job.args)

    class Late:
        async def process(self, job: Any) -> None:
            body.late(**job.args)

    return worker(queue="default")(Noop), worker(queue="default")(Late)


class Oban(Peer):
    name = "oban"
    package = "oban"
    requires = ("oban==0.7.0",)
    python = (3, 12)
    keeps = "the row, for a day"

    async def prepare(self, place: Place) -> None:
        from oban.oban import Oban as Library
        from oban.schema import install

        pool = await Library.create_pool(place.postgres)
        await install(pool)
        await pool.close()

    @asynccontextmanager
    async def client(self, place: Place) -> AsyncIterator[Calls]:
        from oban.oban import Oban as Library

        noop, late = jobs()
        pool = await Library.create_pool(place.postgres)
        async with Library(pool=pool) as oban:
            yield Calls(
                lambda number: oban.enqueue(noop.new({"a": number, "b": body.TEXT})),
                lambda sent: oban.enqueue(late.new({"sent": sent})),
                lambda numbers: oban.enqueue_many([noop.new({"a": number, "b": body.TEXT}) for number in numbers]),
            )
        await pool.close()

    def work(self, place: Place) -> None:
        import uvloop
        from oban.oban import Oban as Library

        jobs()

        async def serve() -> None:
            pool = await Library.create_pool(place.postgres)
            async with Library(pool=pool, queues={"default": COROUTINES}):
                await asyncio.Event().wait()

        uvloop.run(serve())

    def left(self, servers: Servers) -> bool:
        return bool(servers.sql(LEFT))


peer = Oban
