"""A LedgerBroker on SQLite, and on PostgreSQL with Redis; a plain dramatiq worker for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import dramatiq
import pytest
from dramatiq.broker import global_broker, set_broker

from jobs.app import App
from jobs.definition import registry
from jobs.dramatiq import LedgerBroker
from jobs.messages import actor_job
from tests.conftest import MakeApp

StartWorker = Callable[[], dramatiq.Worker]


@pytest.fixture(params=["sqlite", "postgresql+redis"])
def broker(
    request: pytest.FixtureRequest, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LedgerBroker]:
    """The global broker, over a migrated, empty ledger."""
    if request.param == "sqlite":
        app = make_app(request.getfixturevalue("sqlite_url"))
    else:
        app = make_app(request.getfixturevalue("pg_database"), redis_url=request.getfixturevalue("redis_url"))
    monkeypatch.setattr("jobs.boot._app", app)
    before = global_broker
    made = LedgerBroker()
    set_broker(made)
    made.emit_after("process_boot")
    yield made
    made.close()
    set_broker(before)  # type: ignore[arg-type]
    for name in made.actors:
        registry.forget(name)
        actor_job.brokers.pop(name, None)


@pytest.fixture
def start_worker(broker: LedgerBroker) -> Iterator[StartWorker]:
    """Starts dramatiq's own worker in this process; it is stopped at the end."""
    started: list[dramatiq.Worker] = []

    def start() -> dramatiq.Worker:
        started.append(dramatiq.Worker(broker, worker_timeout=50, worker_threads=4))
        started[-1].start()
        return started[-1]

    yield start
    for worker in started:
        worker.stop()


@pytest.fixture
def ledger(broker: LedgerBroker) -> App:
    """What the broker writes to."""
    return broker.app
