"""DBOS: a workflow of no step on a queue that its worker polls every 10 ms (a second by default)."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.peers import body
from benchmarks.peers.peer import Calls, Peer, Place, Servers

POLL_SECONDS = 0.01
VERSION = "bench"
LEFT = "select exists (select from dbos.workflow_status where status in ('ENQUEUED', 'PENDING', 'DELAYED'))"


def application(place: Place) -> Any:
    """Made, not launched; its workflows are registered."""
    from dbos import DBOS

    made = DBOS(config={
        "name": "bench", "system_database_url": place.postgres, "log_level": "ERROR", "application_version": VERSION,
    })  # fmt: skip
    DBOS.workflow(name="noop")(body.noop)
    DBOS.workflow(name="late")(body.late)
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

        async def one(number: int) -> None:
            client.enqueue({"queue_name": "bench", "workflow_name": "noop"}, number, body.TEXT)

        async def late(sent: float) -> None:
            client.enqueue({"queue_name": "bench", "workflow_name": "late"}, sent)

        yield Calls(one, late)
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
