"""jobledger in its three modes: its own command with default settings, logs of every run to a file."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.peers.body import TEXT
from benchmarks.peers.peer import Calls, Peer, Place, Servers

LEFT = "select exists (select 1 from job_runs where state in ('queued', 'running'))"
MODES = {
    "ours_postgresql": "jobledger, PostgreSQL alone",
    "ours_redis": "jobledger, PostgreSQL and Redis",
    "ours_sqlite": "jobledger, SQLite",
}


class Ours(Peer):
    package = "jobledger"
    requires = ()
    keeps = "a row for the run, one for each attempt"

    def __init__(self, adapter: str) -> None:
        super().__init__(adapter)
        self.name = MODES[adapter]

    def settings(self, place: Place) -> dict[str, str]:
        found = {"JOBS_DATABASE_URL": place.postgres}
        if self.adapter == "ours_redis":
            found["JOBS_REDIS_URL"] = place.redis
        if self.adapter == "ours_sqlite":
            found["JOBS_DATABASE_URL"] = f"sqlite:///{place.folder}/jobs.db"
        return found

    async def prepare(self, place: Place) -> None:
        from benchmarks.kit import places

        found = self.settings(place)
        places.Place(
            self.name, Path(place.folder), None, found["JOBS_DATABASE_URL"], found.get("JOBS_REDIS_URL")
        ).app.close()

    @asynccontextmanager
    async def client(self, place: Place) -> AsyncIterator[Calls]:
        from benchmarks.peers.work import Joined, Late, Noop
        from jobs import boot, enqueue_many

        async def one(number: int) -> None:
            Noop(a=number, b=TEXT).enqueue()

        async def many(numbers: range) -> None:
            enqueue_many([Noop(a=number, b=TEXT) for number in numbers])

        async def late(sent: float) -> None:
            Late(sent=sent).enqueue()

        async def join(width: int) -> None:
            Joined(width=width).enqueue()

        # Loaded and connected before the first call, as the clients of the other libraries are.
        with boot.current().database.read() as connection:
            connection.exec_driver_sql("select 1")
        yield Calls(one, late, many, join)

    def workers(self, processes: int) -> list[list[str]]:
        command = [str(Path(sys.executable).parent / "jobledger"), "worker", "--import", "benchmarks.peers.work"]
        return [[*command, "--processes", str(processes), "--metrics-port", "0"]]

    def left(self, servers: Servers) -> bool:
        return bool(servers.sql(LEFT))


peer = Ours
