"""Celery on Redis, which also keeps its results: prefork processes, default settings. Its join is a chord."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.peers import body
from benchmarks.peers.peer import RUNNER, Calls, Peer, Place, Servers


def application(place: Place) -> Any:
    from celery import Celery

    made = Celery("bench", broker=place.redis, backend=place.redis)
    made.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)
    for name in ("noop", "late", "joined"):
        made.task(name=name)(getattr(body, name))
    return made


class CeleryPeer(Peer):
    name = "Celery"
    package = "celery"
    requires = ("celery[redis]==5.7.0",)
    keeps = "the result, for a day"
    is_durable = False
    share = 0.25

    @asynccontextmanager
    async def client(self, place: Place) -> AsyncIterator[Calls]:
        from celery import chord

        tasks = application(place).tasks
        noop, late, joined = tasks["noop"], tasks["late"], tasks["joined"]

        async def one(number: int) -> None:
            noop.delay(number, body.TEXT)

        async def timed(sent: float) -> None:
            late.delay(sent)

        async def join(width: int) -> None:
            chord([noop.s(number, body.TEXT) for number in range(width)], joined.s()).apply_async()

        yield Calls(one, timed, join=join)

    def workers(self, processes: int) -> list[list[str]]:
        return [[*RUNNER, self.adapter, str(processes)]]

    def work(self, place: Place) -> None:
        import sys

        application(place).worker_main(["worker", "--loglevel", "WARNING", "--concurrency", sys.argv[2]])

    def left(self, servers: Servers) -> bool:
        return bool(servers.redis("LLEN", "celery") or servers.redis("HLEN", "unacked"))


peer = CeleryPeer
