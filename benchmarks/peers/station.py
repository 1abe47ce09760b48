"""The station of one library: an empty database and Redis, and its client and workers as processes of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import redis

from benchmarks.kit.places import ROOT, Places
from benchmarks.kit.processes import cpu_seconds, tree
from benchmarks.peers.peer import Peer, Place

STOP_SECONDS = 8.0
"""For a worker to stop when asked; no job is under way then."""


class Failed(Exception):
    """A client or a worker did not do what it should; says what it wrote."""


class Station:
    """That place; empty when made."""

    def __init__(self, peer: Peer, python: Path, servers: Places, place: Place) -> None:
        self.peer = peer
        self.folder = Path(place.folder)
        self._python = python
        self._servers = servers
        self._place = place
        self._redis = redis.Redis.from_url(place.redis, decode_responses=True)
        self._postgres = psycopg.connect(place.postgres, autocommit=True)
        self._redis.flushall()
        self.client("prepare")

    def close(self) -> None:
        self._postgres.close()
        self._redis.close()

    def client(self, *arguments: str | float) -> dict[str, float]:
        """Run the library's client; what it says it took.

        Raises:
            Failed: it ended with an error.
        """
        argv = ["-m", "benchmarks.peers.client", self.peer.adapter, *map(str, arguments)]
        done = subprocess.run(
            [self._python, *argv], env=self._environment(), cwd=self.folder, capture_output=True, text=True
        )
        if done.returncode:
            raise Failed(f"{' '.join(argv)}: {done.stderr[-2000:]}")
        return dict(json.loads(done.stdout.splitlines()[-1]))

    @contextmanager
    def worker(self, processes: int) -> Iterator[Workers]:
        """Its worker processes, from their start until the block ends."""
        with Workers(self, processes) as made:
            yield made

    def start(self, command: list[str], log: Any) -> subprocess.Popen[bytes]:
        argv = [str(self._python), *command]
        return subprocess.Popen(argv, env=self._environment(), cwd=self.folder, stdout=log, stderr=log)

    def left(self) -> bool:
        """Whether any job is not done and recorded."""
        try:
            return self.peer.left(self)
        except (redis.ResponseError, psycopg.errors.UndefinedTable, sqlite3.OperationalError):
            return True

    def sql(self, statement: str) -> Any:
        file = self.folder / "jobs.db"
        if file.exists():
            with closing(sqlite3.connect(file)) as connection:
                return connection.execute(statement).fetchone()[0]
        row = self._postgres.execute(statement.encode()).fetchone()
        return row[0] if row else None

    def redis(self, *command: str) -> Any:
        return self._redis.execute_command(*command)

    def server_seconds(self) -> float:
        """Processor time that both servers have used so far."""
        used = (self._servers.postgres.process, self._servers.redis.process)
        return sum(cpu_seconds(tree(one.pid)) for one in used if one is not None)

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
        return {
            **inherited, "PYTHONPATH": str(ROOT), **self._place.environment(), **self.peer.settings(self._place)
        }  # fmt: skip


class Workers:
    """The processes of a library's workers; their commands' logs go to files, as in production."""

    def __init__(self, station: Station, processes: int) -> None:
        self._station = station
        self._commands = station.peer.workers(processes)
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Workers:
        for number, command in enumerate(self._commands):
            with (self._station.folder / f"worker-{number}.log").open("wb") as log:
                self._started.append(self._station.start(command, log))
        return self

    def __exit__(self, *raised: object) -> None:
        pids = self.pids()
        try:
            for one in self._started:
                one.send_signal(signal.SIGTERM)
            until = time.monotonic() + STOP_SECONDS
            for one in self._started:
                with suppress(subprocess.TimeoutExpired):
                    one.wait(max(0.1, until - time.monotonic()))
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for one in self._started:
                one.wait()

    def check(self) -> None:
        """See that they run.

        Raises:
            Failed: one has ended by itself.
        """
        for number, one in enumerate(self._started):
            if one.poll() is not None:
                log = (self._station.folder / f"worker-{number}.log").read_text(errors="replace")
                raise Failed(f"{self._commands[number]} ended: {log[-2000:]}")

    def pids(self) -> list[int]:
        """The whole trees."""
        return [pid for one in self._started for pid in tree(one.pid)]

    def seconds(self) -> float:
        """Processor time that they have used so far."""
        return cpu_seconds(self.pids())


@contextmanager
def station(peer: Peer, python: Path, servers: Places) -> Iterator[Station]:
    """One for a measure; gone when the block ends."""
    # Beside the code: a temporary folder may be in memory, and a ledger in a file is not.
    (ROOT / "artifacts").mkdir(exist_ok=True)
    folder = tempfile.mkdtemp(prefix="peer-", dir=ROOT / "artifacts")
    url = servers.postgres.create_database()
    try:
        with closing(Station(peer, python, servers, Place(url, servers.redis.url, folder))) as made:
            yield made
    finally:
        servers.postgres.drop_database(url)
        shutil.rmtree(folder, ignore_errors=True)
