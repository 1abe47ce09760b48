"""Fixtures: servers that the fault suite may kill, and the load, which is full for `make faults` only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from tests import templates
from tests.faults.fleet import Fleet
from tests.faults.load import Load, selects_full
from tests.servers import PostgresServer, RedisServer

MakeFleet = Callable[..., Fleet]


@pytest.fixture
def is_full(request: pytest.FixtureRequest) -> bool:
    """Whether this is `make faults`; in `make test`, and alone, every test is short."""
    return selects_full(request.config.option.markexpr)


@pytest.fixture
def load(is_full: bool) -> Load:
    if is_full:
        return Load(runs=10_000, seconds=60.0)
    # Other tests run beside it, on any machine, so durations and lost leases prove nothing here.
    return Load(runs=200, seconds=4.0, processes=2, is_timed=False)


@pytest.fixture(scope="session")
def has_own_servers(request: pytest.FixtureRequest) -> bool:
    """Whether the suite starts servers of its own, as they are by default; the short form shares those of other
    tests, unless somebody else started them."""
    is_named = bool(os.environ.get("JOBS_TEST_DATABASE_URL") or os.environ.get("JOBS_TEST_REDIS_URL"))
    return is_named or selects_full(request.config.option.markexpr)


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest, has_own_servers: bool) -> Iterator[PostgresServer]:
    if not has_own_servers:
        yield request.getfixturevalue("pg_server")
        return
    with closing(PostgresServer(fsync=False)) as server:
        server.start()
        yield server


@pytest.fixture(scope="session")
def fleet_template(request: pytest.FixtureRequest, has_own_servers: bool, postgres: PostgresServer) -> str:
    """The URL of a database with the tables of a ledger, which each fleet's own is a copy of."""
    if not has_own_servers:
        return str(request.getfixturevalue("migrated_template"))
    url = postgres.create_database()
    templates.migrate(url)
    return url


@pytest.fixture(scope="session")
def valkey(request: pytest.FixtureRequest, has_own_servers: bool) -> Iterator[RedisServer]:
    if not has_own_servers:
        yield request.getfixturevalue("redis_server")
        return
    with closing(RedisServer()) as server:
        server.start()
        yield server


@pytest.fixture
def make_fleet(
    postgres: PostgresServer, valkey: RedisServer, load: Load, request: pytest.FixtureRequest
) -> Iterator[MakeFleet]:
    """Makes and starts a fleet, on PostgreSQL and Redis unless another URL is given."""
    with ExitStack() as stack:

        def make(
            url: str | None = None, *, redis: bool = True, redis_url: str | None = None, start: bool = True, **rest: Any
        ) -> Fleet:
            if url is None:
                postgres.start()
                url = postgres.create_database(template=request.getfixturevalue("fleet_template"))
                stack.callback(postgres.drop_database, url)
                stack.callback(postgres.start)
            if redis:
                valkey.start()
                _flush(valkey)
            if not load.is_timed:
                # On a slow machine several faults may hit the same run.
                rest.setdefault("poison_after", 20)
            fleet = Fleet(url, load, redis_url=(redis_url or valkey.url) if redis else None, **rest)
            stack.callback(fleet.close)
            if start:
                fleet.start()
            return fleet

        yield make


def _flush(server: RedisServer) -> None:
    import redis

    with redis.Redis.from_url(server.url) as client:
        client.flushall()
