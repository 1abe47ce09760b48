"""Libraries with a limit by key, each with ``KEYS`` keys at ``KEYED_MOST`` at once; only for ``benchmarks.limits``."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.peers import body
from benchmarks.peers.adapters.ours import Ours
from benchmarks.peers.adapters.pgqueuer import Pgqueuer, connected, payload
from benchmarks.peers.peer import KEYED_MOST, KEYS, Calls, Peer, Place


class LimitedOurs(Ours):
    def __init__(self, adapter: str) -> None:
        super().__init__(adapter.replace("limits_", ""))
        self.adapter = adapter

    def settings(self, place: Place) -> dict[str, str]:
        return Ours(self.adapter.replace("limits_", "")).settings(place)

    @asynccontextmanager
    async def client(self, place: Place) -> AsyncIterator[Calls]:
        from benchmarks.peers.keyed_work import KeyedNoop
        from jobs import enqueue_many

        async def keyed(numbers: range) -> None:
            enqueue_many([KeyedNoop(account=number % KEYS, a=number, b=body.TEXT) for number in numbers])

        async with super().client(place) as calls:
            yield replace(calls, keyed=keyed)

    def workers(self, processes: int) -> list[list[str]]:
        command = [str(Path(sys.executable).parent / "jobledger"), "worker", "--import", "benchmarks.peers.keyed_work"]
        return [[*command, "--processes", str(processes), "--metrics-port", "0"]]


class LimitedPgqueuer(Pgqueuer):
    @asynccontextmanager
    async def client(self, place: Place) -> AsyncIterator[Calls]:
        from pgqueuer.queries import Queries

        queries = Queries(await connected(place))

        def keyed(numbers: range) -> Any:
            names = [f"keyed-{n % KEYS}" for n in numbers]
            return queries.enqueue(names, [payload(a=n, b=body.TEXT) for n in numbers], [0] * len(numbers))

        async with super().client(place) as calls:
            yield replace(calls, keyed=keyed)

    def work(self, place: Place) -> None:
        import uvloop
        from pgqueuer import PgQueuer

        async def serve() -> None:
            made = PgQueuer(await connected(place))

            async def noop(job: Any) -> None:
                body.noop(**json.loads(job.payload))

            for key in range(KEYS):
                made.entrypoint(f"keyed-{key}", concurrency_limit=KEYED_MOST)(noop)
            await made.run(batch_size=500)

        uvloop.run(serve())


def peer(adapter: str) -> Peer:
    """By what follows the underscore."""
    return LimitedPgqueuer(adapter) if adapter.endswith("pgqueuer") else LimitedOurs(adapter)
