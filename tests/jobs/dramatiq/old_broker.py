"""A RedisBroker with actors and messages, and a LedgerBroker with the same actors to import them into."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker
from sqlalchemy import select

from jobs.app import App
from jobs.database.models import JobRun
from jobs.dramatiq import LedgerBroker
from jobs.dramatiq.importing import Imported, import_queues
from jobs.operations.audit.operator import Operator
from jobs.ready.dramatiq_queues import OldQueues


@pytest.fixture
def old_url(redis_url: str) -> Iterator[str]:
    """Another database of the same server than the ready index's."""
    url = redis_url.removesuffix("/0") + "/3"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def old(old_url: str) -> RedisBroker:
    """A RedisBroker with the actors ``greet`` and ``bad``."""
    made = RedisBroker(url=old_url)

    @dramatiq.actor(broker=made, queue_name="mail", priority=4, max_retries=2)
    def greet(name: str) -> None: ...

    @dramatiq.actor(broker=made, max_retries=1, min_backoff=1, max_backoff=1)
    def bad(name: str) -> None:
        raise ValueError(f"no {name}")

    return made


@pytest.fixture
def new(broker: LedgerBroker) -> LedgerBroker:
    """The same actors on a LedgerBroker; ``greeted`` is what they were called with."""
    broker.greeted = []  # type: ignore[attr-defined]

    @dramatiq.actor(queue_name="mail", priority=4, max_retries=2)
    def greet(name: str) -> None:
        broker.greeted.append(name)  # type: ignore[attr-defined]

    @dramatiq.actor(max_retries=1, min_backoff=1, max_backoff=1)
    def bad(name: str) -> None:
        broker.greeted.append(f"bad {name}")  # type: ignore[attr-defined]

    return broker


def import_all(new: LedgerBroker, url: str, **how: Any) -> Imported:
    queues = OldQueues(url)
    try:
        return import_queues(new.app, new, queues, Operator("test"), **how)
    finally:
        queues.close()


def runs(app: App) -> list[Any]:
    with app.database.read() as connection:
        return list(connection.execute(select(JobRun).order_by(JobRun.id)).mappings())
