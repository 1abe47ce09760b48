"""pgqueuer: one connection, coroutines, LISTEN/NOTIFY, batches of 500, uvloop as in its command."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.peers import body
from benchmarks.peers.peer import Calls, Peer, Place, Servers


def payload(**arguments: Any) -> bytes:
    return json.dumps(arguments).encode()


async def connected(place: Place) -> Any:
    import asyncpg
    from pgqueuer.db import AsyncpgDriver

    return AsyncpgDriver(await asyncpg.connect(place.postgres))


async def application(place: Place) -> Any:
    from pgqueuer import PgQueuer

    made = PgQueuer(await connected(place))

    @made.entrypoint("noop")
    async def noop(job: Any) -> None:
        body.noop(**json.loads(job.payload))

    @made.entrypoint("late")
    async def late(job: Any) -> None:
        body.late(**json.loads(job.payload))

    return made


class Pgqueuer(Peer):
    name = "pgqueuer"
    package = "pgqueuer"
    requires = ("pgqueuer==1.6.0", "asyncpg==0.32.0", "uvloop==0.23.0")
    keeps = "three log rows, which it folds into counts"

    async def prepare(self, place: Place) -> None:
        from pgqueuer.queries import Queries

        await Queries(await connected(place)).install()

    @asynccontextmanager
    async def client(self, place: Place) -> AsyncIterator[Calls]:
        from pgqueuer.queries import Queries

        queries = Queries(await connected(place))

        def many(numbers: range) -> Any:
            count = len(numbers)
            return queries.enqueue(["noop"] * count, [payload(a=n, b=body.TEXT) for n in numbers], [0] * count)

        yield Calls(
            lambda number: queries.enqueue("noop", payload(a=number, b=body.TEXT)),
            lambda sent: queries.enqueue("late", payload(sent=sent)),
            many,
        )

    def work(self, place: Place) -> None:
        import uvloop  # as its command does, which fails at its start with typer 0.29

        async def serve() -> None:
            await (await application(place)).run(batch_size=500)

        uvloop.run(serve())

    def left(self, servers: Servers) -> bool:
        return bool(servers.sql("select exists (select from pgqueuer)"))


peer = Pgqueuer
