"""Fixtures for every test: real servers, one pair a test process; a database or an empty Redis a test."""

from __future__ import annotations

import compileall
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import redis

from jobs import boot
from jobs.app import App
from jobs.clock import Clock
from jobs.database.engine import Database
from jobs.database.sqlite import connection
from jobs.definition import registry
from jobs.definition.breakers import guarded_kinds
from jobs.definition.fairness import fair_kinds
from jobs.definition.limits import limited_kinds
from jobs.operations.access import credentials
from jobs.settings import Settings
from tests import compiled_statements, fork_server, templates
from tests.database_pool import DatabasePool
from tests.left_running import LeftRunning
from tests.server_process import Server
from tests.servers import NamedServer, PostgresServer, RedisServer

S = TypeVar("S", bound=Server | NamedServer)

pytest_plugins = ["pytester"]
RULES = ("expected", "machine_state", "worker_rules", "ledger_rules")
pytest.register_assert_rewrite(
    "tests.contract.ready", "tests.contract.source", *(f"tests.property.{one}" for one in RULES)
)

MakeApp = Callable[..., App]

# Started in a shell's background, this process ignores SIGINT, and so would every program that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

LEFT_RUNNING = pytest.StashKey[LeftRunning]()
OURS = ("jobs", "worker", "scheduler", "admin_cli", "admin_api")


def pytest_configure(config: pytest.Config) -> None:
    """Compile our packages once, before several test processes do so at the same time; and where Python may not write
    bytecode (``PYTHONDONTWRITEBYTECODE``, in many containers).

    Every program that a test starts would compile them again there, which takes a third of its start.
    """
    has_processes = config.getoption("numprocesses", None)
    is_worker = hasattr(config, "workerinput")
    if (sys.dont_write_bytecode or has_processes) and not is_worker:
        for package in OURS:
            compileall.compile_dir(Path(__file__).parents[1] / package, quiet=2)
    if is_worker or not has_processes:
        # This process collects. What it makes stays, so a garbage collection would take time and find nothing.
        gc.disable()


def pytest_collection_finish() -> None:
    """Keep the garbage collector from walking through thousands of tests and modules again and again."""
    gc.enable()
    gc.collect()
    gc.freeze()


def pytest_sessionstart(session: pytest.Session) -> None:
    session.stash[LEFT_RUNNING] = LeftRunning()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Fails the last test of a module if something runs that its tests have started; names the test."""
    yield
    left_running = item.session.stash[LEFT_RUNNING]
    left_running.look(item.nodeid)
    if nextitem is None or nextitem.path != item.path:
        left_running.refuse(item.nodeid)


@pytest.fixture(autouse=True)
def forget_local_kinds() -> Iterator[None]:
    """Forgets the job classes that a test declares in its own functions or in a module that is gone with it, so that
    tests may use the same names."""
    known = set(registry.kinds())
    yield
    for kind in set(registry.kinds()) - known:
        cls = registry.get(kind)
        if "<locals>" in registry.place_of(cls) or cls.__module__ not in sys.modules:
            registry.forget(kind)
            limited_kinds.pop(kind, None)
            guarded_kinds.pop(kind, None)
            fair_kinds.pop(kind, None)


@pytest.fixture(scope="session")
def pg_server() -> Iterator[PostgresServer | NamedServer]:
    """A started PostgreSQL. A test that stops it need not start it again."""
    url = os.environ.get("JOBS_TEST_DATABASE_URL")
    # Statistics that come by themselves would change plans, and make the pool drop the database.
    yield from _started(NamedServer(url) if url else PostgresServer(autovacuum="off", full_page_writes="off"))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer | NamedServer]:
    """A started Valkey. A test that stops it need not start it again."""
    url = os.environ.get("JOBS_TEST_REDIS_URL")
    yield from _started(NamedServer(url) if url else RedisServer())


@pytest.fixture(scope="session")
def migrated_template(pg_server: PostgresServer | NamedServer) -> Iterator[str]:
    """The URL of the database that each test's own is a copy of."""
    url = pg_server.create_database()
    templates.migrate(url)
    fork_server.compile_statements(url)
    yield url
    pg_server.start()
    pg_server.drop_database(url)


@pytest.fixture(scope="session")
def pg_pool(pg_server: PostgresServer | NamedServer, migrated_template: str) -> Iterator[DatabasePool]:
    """Migrated, empty databases, which tests use one after another."""
    pool = DatabasePool(pg_server, migrated_template)
    yield pool
    pg_server.start()
    pool.close()


@pytest.fixture
def pg_database(pg_server: PostgresServer | NamedServer, pg_pool: DatabasePool) -> Iterator[str]:
    """The URL of a database for this test alone, migrated and empty."""
    pg_server.start()
    url = pg_pool.take()
    yield url
    pg_server.start()
    pg_pool.give_back(url)


@pytest.fixture
def redis_url(redis_server: RedisServer | NamedServer) -> str:
    """The URL of a Redis that is up and empty."""
    redis_server.start()
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushdb()
    return redis_server.url


@pytest.fixture(scope="session", autouse=True)
def sqlite_without_waiting() -> Iterator[None]:
    """Connections of the test process do not wait for the disk: no test loses power. Those of programs do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "WAIT_FOR_DISK", "PRAGMA synchronous=OFF")
        yield


@pytest.fixture(scope="session", autouse=True)
def statements_compiled_once() -> Iterator[None]:
    """Engines of ledgers in the test process share the statements that they have compiled."""
    with compiled_statements.shared():
        yield


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[dict[str, Any]]:
    """Real hashing in the test process, at the lowest cost that argon2 accepts; gives the cost of the product."""
    product = credentials.COST
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(credentials, "COST", {"time_cost": 1, "memory_cost": 8, "parallelism": 1})
        yield product


@pytest.fixture(scope="session")
def sqlite_template() -> Path:
    """The SQLite file that each test's own is a copy of: migrated, empty, nobody connected."""
    return templates.sqlite_template()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """The URL of a migrated, empty ledger of this test's own, once on each dialect; `-k sqlite` is the quick half."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "pg_database")
    return url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a migrated, empty SQLite ledger of this test's own."""
    return templates.sqlite_ledger(tmp_path / "jobs.db")


@pytest.fixture
def make_app(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeApp]:
    """Makes Apps: ``make_app(url, clock=…, threads=2, …)``. The environment has no say; each is closed at the end."""
    for name in [name for name in os.environ if name.startswith("JOBS_") and not name.startswith("JOBS_TEST_")]:
        monkeypatch.delenv(name)
    made: list[App] = []

    def make(url: str, *, clock: Clock | None = None, **settings: Any) -> App:
        made.append(boot.build(Settings.read(database_url=url, **settings), clock=clock))
        return made[-1]

    yield make
    for app in made:
        app.close()


@pytest.fixture
def app(ledger_url: str, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> App:
    """An App on a migrated, empty ledger, once on each dialect. It is the current one: ``job.enqueue()`` uses it."""
    made = make_app(ledger_url)
    monkeypatch.setattr(boot, "_app", made)
    return made


@pytest.fixture
def database(app: App) -> Database:
    """The database of ``app``; verbs run in ``with database.write() as connection``."""
    return app.database


def _started(server: S) -> Iterator[S]:
    server.start()
    yield server
    server.close()
