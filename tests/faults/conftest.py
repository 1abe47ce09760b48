"""Servers of the fault suite's own, which it may kill; and the load, in full only for `make faults`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from tests.faults.fleet import Fleet, Load
from tests.servers import PostgresServer, RedisServer

MakeFleet = Callable[..., Fleet]


@pytest.fixture
def is_full(request: pytest.FixtureRequest) -> bool:
    """Whether this is `make faults`; in `make test`, and by itself, every test is a short one."""
    return request.config.option.markexpr == "faults"


@pytest.fixture
def load(is_full: bool) -> Load:
    if is_full:
        return Load(runs=10_000, seconds=60.0)
    # Beside other tests, on any machine: what took how long, and how often a busy machine let go, says nothing here.
    return Load(runs=200, seconds=4.0, processes=2, is_timed=False)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with closing(PostgresServer(fsync=False)) as server:
        server.start()
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[RedisServer]:
    with closing(RedisServer()) as server:
        server.start()
        yield server


@pytest.fixture
def make_fleet(postgres: PostgresServer, valkey: RedisServer, load: Load) -> Iterator[MakeFleet]:
    """Makes a started fleet: on PostgreSQL and Redis, unless told of another URL."""
    with ExitStack() as stack:

        def make(
            url: str | None = None, *, redis: bool = True, redis_url: str | None = None, start: bool = True, **rest: Any
        ) -> Fleet:
            if url is None:
                postgres.start()
                url = postgres.create_database()
                stack.callback(postgres.drop_database, url)
                stack.callback(postgres.start)
            if redis:
                valkey.start()
                _flush(valkey)
            if not load.is_timed:
                # On a machine that is slow enough, faults meet one run again and again.
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
