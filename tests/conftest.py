"""Fixtures for every test: real servers, one pair a test process; a database or an empty Redis a test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
import redis

from tests.server_process import Server
from tests.servers import NamedServer, PostgresServer, RedisServer

S = TypeVar("S", bound=Server | NamedServer)

pytest_plugins = ["pytester"]
pytest.register_assert_rewrite("tests.contract.ready")


@pytest.fixture(scope="session")
def pg_server() -> Iterator[PostgresServer | NamedServer]:
    """A started PostgreSQL. A test that stops it need not start it again."""
    url = os.environ.get("JOBS_TEST_DATABASE_URL")
    yield from _started(NamedServer(url) if url else PostgresServer())


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer | NamedServer]:
    """A started Valkey. A test that stops it need not start it again."""
    url = os.environ.get("JOBS_TEST_REDIS_URL")
    yield from _started(NamedServer(url) if url else RedisServer())


@pytest.fixture(scope="session")
def fill_template() -> Callable[[str], None]:
    """What makes the tables in the database at a URL, once a session; it leaves no connection behind."""
    return lambda url: None


@pytest.fixture(scope="session")
def migrated_template(pg_server: PostgresServer | NamedServer, fill_template: Callable[[str], None]) -> Iterator[str]:
    """The URL of the database that each test's own is a copy of."""
    url = pg_server.create_database()
    fill_template(url)
    yield url
    pg_server.start()
    pg_server.drop_database(url)


@pytest.fixture
def pg_database(pg_server: PostgresServer | NamedServer, migrated_template: str) -> Iterator[str]:
    """The URL of a database of this test's own, migrated and empty."""
    pg_server.start()
    url = pg_server.create_database(template=migrated_template)
    yield url
    pg_server.start()
    pg_server.drop_database(url)


@pytest.fixture
def redis_url(redis_server: RedisServer | NamedServer) -> str:
    """The URL of a Redis that is up and empty."""
    redis_server.start()
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushdb()
    return redis_server.url


def _started(server: S) -> Iterator[S]:
    server.start()
    yield server
    server.close()
