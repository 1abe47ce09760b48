"""DBOS: workflows of no step on a queue polled every 10 ms (a second by default); a join receives a message of each."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from benchmarks.peers import body
from benchmarks.peers.peer import Calls, Peer, Place, Servers

POLL_SECONDS = 0.01
LEFT = "select exists (select from dbos.workflow_status where status in ('ENQUEUED', 'PENDING', 'DELAYED'))"


def application(place: Place) -> Any:
    """Made, not launched; its workflows are registered."""
    from dbos import DBOS

    config = {"name": "bench", "log_level": "ERROR", "application_version": "bench"}
    made = DBOS(config={**config, "system_database_url": place.postgres})
    DBOS.workflow(name="noop")(body.noop)
    DBOS.workflow(name="late")(body.late)

    @DBOS.workflow(name="part")
    def part(joins: str, a: int, b: str) -> None:
        body.noop(a, b)
        DBOS.send(joins, a, "parts")

    @DBOS.workflow(name="joined")
    def joined(width: int) -> None:
        for number in range(width):
            DBOS.enqueue_workflow("bench", part, DBOS.workflow_id, number, body.TEXT)
        body.joined([DBOS.recv("parts") for _ in range(width)])

    return made


class Dbos(Peer):
    name = "DBOS"
    package = "dbos"
    requires = ("dbos==3.4.0",)
    keeps = "the row"
    share = 0.1

    async def prepare(self, place: Place) -> None:
        from dbos import DBOS

        application(place)
        DBOS.launch()
        await DBOS.register_queue_async("bench", polling_interval_sec=POLL_SECONDS)
        DBOS.destroy()

    @asynccontextmanager
    async def client(self, place: Place) -> AsyncIterator[Calls]:
        from dbos import DBOSClient

        client = DBOSClient(system_database_url=place.postgres)

        async def enqueue(name: str, *given: Any) -> None:
            client.enqueue({"queue_name": "bench", "workflow_name": name}, *given)

        yield Calls(lambda n: enqueue("noop", n, body.TEXT), partial(enqueue, "late"), join=partial(enqueue, "joined"))
        client.destroy()

    def work(self, place: Place) -> None:
        from dbos import DBOS

        application(place)
        DBOS.launch()
        signal.signal(signal.SIGTERM, lambda *_: DBOS.destroy())
        signal.pause()

    def left(self, servers: Servers) -> bool:
        return bool(servers.sql(LEFT))


peer = Dbos
