"""awa-pg: its engine is Rust in the worker's process, and calls coroutines; its append-only storage (queue_storage)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from benchmarks.peers import body
from benchmarks.peers.peer import COROUTINES, Calls, Peer, Place, Servers

QUEUE = "default"
LEFT = """
select (select last_value from awa.job_id_seq)
    > (select coalesce(sum(completed_count), 0) from awa.receipt_completion_batches)
    + (select coalesce(sum(pruned_completed_count), 0) from awa.queue_terminal_rollups)
"""
"""By its own counts: its view of jobs takes longer than the drain."""


@dataclass
class Noop:
    a: int
    b: str


@dataclass
class Late:
    sent: float


class Awa(Peer):
    name = "awa-pg"
    package = "awa-pg"
    requires = ("awa-pg==0.6.9",)
    keeps = "a count; the row goes with its partition, within seconds"

    async def prepare(self, place: Place) -> None:
        import awa

        await awa.migrate(place.postgres)
        await awa.AsyncClient(place.postgres).install_queue_storage()

    @asynccontextmanager
    async def client(self, place: Place) -> AsyncIterator[Calls]:
        from awa import AsyncClient

        client = AsyncClient(place.postgres)
        yield Calls(
            lambda number: client.insert(Noop(number, body.TEXT), queue=QUEUE),
            lambda sent: client.insert(Late(sent), queue=QUEUE),
            lambda numbers: client.enqueue_many_copy([Noop(number, body.TEXT) for number in numbers], queue=QUEUE),
        )
        await client.close()

    def work(self, place: Place) -> None:
        from awa import AsyncClient

        async def serve() -> None:
            client = AsyncClient(place.postgres)

            @client.task(Noop, queue=QUEUE)
            async def noop(job: object) -> None:
                body.noop(job.args.a, job.args.b)

            @client.task(Late, queue=QUEUE)
            async def late(job: object) -> None:
                body.late(job.args.sent)

            await client.start([(QUEUE, COROUTINES)])
            await asyncio.Event().wait()

        asyncio.run(serve())

    def left(self, servers: Servers) -> bool:
        return bool(servers.sql(LEFT))


peer = Awa
