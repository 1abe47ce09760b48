"""Places: servers of our own, an empty ledger in one of the three modes, and a worker for it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.kit.modes import FLEET, MODES, SQLITE
from benchmarks.kit.processes import cpu_seconds, tree
from jobs import boot
from jobs.app import App
from jobs.migration import schema
from jobs.settings import Settings
from tests.servers import PostgresServer, RedisServer

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Place:
    """An empty ledger and its environment. Settings are the defaults except for the addresses of the services."""

    mode: str
    folder: Path
    servers: Places
    database_url: str
    redis_url: str | None
    environment: dict[str, str] = field(default_factory=dict)
    app: App = field(init=False)

    def __post_init__(self) -> None:
        self.app = boot.configure(
            boot.build(Settings(database_url=self.database_url, redis_url=self.redis_url, log_level="error"))
        )
        schema.upgrade(self.app.database)
        if self.app.ready is not None:
            self.app.ready.wipe()
            self.app.ready.mark_intact()

    def env(self, **more: str) -> dict[str, str]:
        """The environment of a worker for this place."""
        services = {"JOBS_DATABASE_URL": self.database_url} | (
            {"JOBS_REDIS_URL": self.redis_url} if self.redis_url else {}
        )
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
        return {**inherited, "PYTHONPATH": str(ROOT), **services, **self.environment, **more}

    @contextmanager
    def worker(self, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run ``jobledger worker`` for the jobs of this kit, with its log in a file, during the block."""
        with self.command("worker", "--import", "benchmarks.kit.work", "--metrics-port", "0", **settings) as process:
            yield process

    @contextmanager
    def command(self, *arguments: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run one of our commands in the background."""
        argv = [sys.executable, "-m", "admin_cli.main", *arguments]
        log = self.folder / f"{arguments[0]}-{time.monotonic_ns()}.log"
        with log.open("wb") as file:
            env = self.env(**settings)
            process = subprocess.Popen(argv, env=env, stdout=file, stderr=file, cwd=self.folder)
        try:
            yield process
            if process.poll() is not None:
                raise SystemExit(f"{argv} ended:\n{log.read_text()[-3000:]}")
        finally:
            end(process)

    def server_seconds(self) -> float:
        """Processor time that this mode's servers have used so far."""
        used = [] if self.mode == SQLITE else [self.servers.postgres]
        used += [self.servers.redis] if self.mode == FLEET else []
        pids = [one.process.pid for one in used if one.process is not None]
        return sum(cpu_seconds(tree(pid)) for pid in pids)

    def sql(self, statement: str, **values: Any) -> Any:
        """The first row of a statement's result."""
        from sqlalchemy import text

        with self.app.database.read() as connection:
            return connection.execute(text(statement), values).first()


class Places:
    """Servers, started once a program, and ledgers made on them."""

    def __init__(self, stack: ExitStack, **postgres: str | int) -> None:
        self._stack = stack
        self.postgres = stack.enter_context(closing(PostgresServer(fsync=True, **postgres)))
        self.redis = stack.enter_context(closing(RedisServer()))
        self.postgres.start()
        self.redis.start()

    @contextmanager
    def ledger(self, mode: str, **environment: str) -> Iterator[Place]:
        """An empty one; gone when the block ends."""
        # Beside the code: a temporary folder may be in memory, and a ledger is not.
        (ROOT / "artifacts").mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="ledger-", dir=ROOT / "artifacts"))
        url = f"sqlite:///{folder}/jobs.db" if mode == SQLITE else self.postgres.create_database()
        place = Place(mode, folder, self, url, self.redis.url if mode == FLEET else None, environment)
        try:
            yield place
        finally:
            place.app.close()
            if mode != SQLITE:
                self.postgres.drop_database(url)
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def places(**postgres: str | int) -> Iterator[Places]:
    """Servers for a program: PostgreSQL with fsync on, and Valkey."""
    with ExitStack() as stack:
        yield Places(stack, **postgres)


def in_turns(repeats: int, measure: Callable[[Place], None]) -> None:
    """Measure each mode on a ledger of its own, all of them in each round."""
    with places() as there:
        for _ in range(repeats):
            for mode in MODES:
                with there.ledger(mode) as place:
                    measure(place)


def wait_for(fact: Callable[[], Any], *, seconds: float = 120.0, every: float = 0.05) -> None:
    """Until it is true.

    Raises:
        SystemExit: not in time.
    """
    until = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > until:
            raise SystemExit(f"waited {seconds:.0f} s in vain")
        time.sleep(every)


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop it as an operator would; kill it if that takes too long."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(40)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
