"""procrastinate: coroutines in one process, LISTEN/NOTIFY; several processes are several commands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.peers import body
from benchmarks.peers.peer import COROUTINES, Calls, Peer, Place, Servers

LEFT = "select exists (select from procrastinate_jobs where status in ('todo', 'doing'))"


def application(place: Place) -> Any:
    import procrastinate

    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=place.postgres, min_size=1, max_size=20))

    @app.task(name="noop")
    async def noop(a: int, b: str) -> None:
        body.noop(a, b)

    @app.task(name="late")
    async def late(sent: float) -> None:
        body.late(sent)

    return app


class Procrastinate(Peer):
    name = "procrastinate"
    package = "procrastinate"
    requires = ("procrastinate==3.10.0", "psycopg[binary]==3.3.9")
    keeps = "the row, and three events"
    share = 0.1

    async def prepare(self, place: Place) -> None:
        app = application(place)
        async with app.open_async():
            await app.schema_manager.apply_schema_async()

    @asynccontextmanager
    async def client(self, place: Place) -> AsyncIterator[Calls]:
        app = application(place)
        noop, late = app.tasks["noop"], app.tasks["late"]
        async with app.open_async():
            yield Calls(
                lambda number: noop.defer_async(a=number, b=body.TEXT),
                lambda sent: late.defer_async(sent=sent),
                lambda numbers: noop.batch_defer_async(*({"a": number, "b": body.TEXT} for number in numbers)),
            )

    def work(self, place: Place) -> None:
        app = application(place)
        app.run_worker(concurrency=COROUTINES)

    def left(self, servers: Servers) -> bool:
        return bool(servers.sql(LEFT))


peer = Procrastinate
