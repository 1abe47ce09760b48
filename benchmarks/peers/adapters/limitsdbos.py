"""DBOS with a partitioned queue, polled every 10 ms; only for ``benchmarks.limits``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from benchmarks.peers import body
from benchmarks.peers.adapters.dbos import POLL_SECONDS, Dbos, application
from benchmarks.peers.peer import KEYED_MOST, KEYS, Calls, Place


class LimitedDbos(Dbos):
    async def prepare(self, place: Place) -> None:
        from dbos import DBOS

        application(place)
        DBOS.launch()
        await DBOS.register_queue_async("keyed", polling_interval_sec=POLL_SECONDS, partition_concurrency=KEYED_MOST)
        DBOS.destroy()

    @asynccontextmanager
    async def client(self, place: Place) -> AsyncIterator[Calls]:
        from dbos import DBOSClient

        client = DBOSClient(system_database_url=place.postgres)

        async def keyed(numbers: range) -> None:
            for n in numbers:
                options = {"queue_name": "keyed", "workflow_name": "noop", "queue_partition_key": str(n % KEYS)}
                client.enqueue(options, n, body.TEXT)

        async with super().client(place) as calls:
            yield replace(calls, keyed=keyed)
        client.destroy()


peer = LimitedDbos
