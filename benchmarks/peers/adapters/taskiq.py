"""taskiq on a Redis stream, which is acknowledged once the job has ended, by its own command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.peers import body
from benchmarks.peers.peer import Calls, Peer, Place, Servers


def broker() -> Any:
    """What the command serves."""
    from taskiq_redis import RedisStreamBroker

    # From the first entry on: jobs are enqueued before the first worker makes the group.
    made = RedisStreamBroker(Place.of_environment().redis, consumer_id="0")

    @made.task(task_name="noop")
    async def noop(a: int, b: str) -> None:
        body.noop(a, b)

    @made.task(task_name="late")
    async def late(sent: float) -> None:
        body.late(sent)

    return made


class Taskiq(Peer):
    name = "taskiq"
    package = "taskiq"
    requires = ("taskiq==0.13.0", "taskiq-redis==1.2.4")
    keeps = "an entry of the stream, without what became of it"
    is_durable = False

    @asynccontextmanager
    async def client(self, place: Place) -> AsyncIterator[Calls]:
        made = broker()
        noop, late = made.find_task("noop"), made.find_task("late")
        await made.startup()
        yield Calls(lambda number: noop.kiq(number, body.TEXT), lambda sent: late.kiq(sent))
        await made.shutdown()

    def workers(self, processes: int) -> list[list[str]]:
        command = ["-m", "taskiq", "worker", "benchmarks.peers.adapters.taskiq:broker", "--log-level", "WARNING"]
        return [[*command, "--workers", str(processes)]]

    def left(self, servers: Servers) -> bool:
        groups = servers.redis("XINFO", "GROUPS", "taskiq")
        if not groups:
            return True
        return any(group["pending"] or group["lag"] for group in groups)


peer = Taskiq
