"""K2.14: dramatiq's encoders, priorities, middleware, and what others patch around it, beside a LedgerBroker."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import dramatiq
import pytest
from dramatiq import JSONEncoder
from dramatiq.message import get_encoder, set_encoder
from dramatiq.middleware import GroupCallbacks, Retries, TimeLimit
from dramatiq.rate_limits.backends import StubBackend
from dramatiq.worker import WorkerThread

from jobs.dramatiq import LedgerBroker
from jobs.errors import ConfigurationError, EnqueueRefused
from jobs.ledger.queries.find import list_runs
from jobs.messages.groups import LedgerGroupCallbacks
from jobs.messages.time_limit import LedgerTimeLimit
from tests.jobs.dramatiq.broker_runs import JOIN
from tests.jobs.dramatiq.conftest import StartWorker
from tests.worker.one_process import started
from worker.dramatiq.middleware_hooks import brokers_of


class WithIds(JSONEncoder):
    """As applications make them: JSON, and what it has not under a word of its own."""

    def encode(self, data: Any) -> bytes:
        return json.dumps(data, default=lambda value: {"__id__": str(value)}).encode()

    def decode(self, data: bytes) -> Any:
        return json.loads(data, object_hook=lambda one: UUID(one["__id__"]) if "__id__" in one else one)


class Compressed(JSONEncoder):
    def encode(self, data: Any) -> bytes:
        return zlib.compress(super().encode(data))

    def decode(self, data: bytes) -> Any:
        return super().decode(zlib.decompress(data))


@pytest.fixture
def encoder() -> Iterator[Any]:
    before = get_encoder()
    yield set_encoder
    set_encoder(before)


def first(broker: LedgerBroker) -> Any:
    with broker.app.database.read() as connection:
        return list_runs(connection)[0]


@pytest.mark.parametrize(("made", "value"), [(WithIds(), uuid4()), (Compressed(), "x" * 1000)], ids=["ids", "zlib"])
def test_an_encoder_that_is_made_of_jsons_writes_and_reads_as_it_likes(
    broker: LedgerBroker, start_worker: StartWorker, encoder: Any, made: Any, value: Any
) -> None:
    # K2.14
    encoder(made)
    seen: list[Any] = []

    @dramatiq.actor
    def take(one: Any) -> None:
        seen.append(one)

    take.send(value)
    start_worker()
    broker.join("default", timeout=JOIN)

    assert seen == [value]


class TestBrokerPriority:
    def test_a_higher_broker_priority_goes_first(self, broker: LedgerBroker) -> None:
        # K2.14
        @dramatiq.actor(priority=10, broker_priority=2)
        def mail() -> None: ...

        priorities = []
        for options in ({}, {"broker_priority": 5}, {"broker_priority": 0}):
            mail.send_with_options(**options)
            priorities.append(first(broker).priority)

        assert priorities == [8, 5, 10]

    @pytest.mark.parametrize("wrong", [-1, 256, "5", 1.5, True])
    def test_a_priority_that_rabbitmq_refuses_is_refused(self, broker: LedgerBroker, wrong: Any) -> None:
        # K2.14
        @dramatiq.actor
        def mail() -> None: ...

        with pytest.raises(EnqueueRefused, match="broker_priority"):
            mail.send_with_options(broker_priority=wrong)


@pytest.mark.parametrize("way", ["assign", "append", "insert", "replace", "slice", "add"])
def test_however_the_list_of_middleware_is_changed_the_ledger_keeps_its_promises(
    broker: LedgerBroker, way: str
) -> None:
    # K2.14
    given = [TimeLimit(time_limit=7), GroupCallbacks(StubBackend()), Retries()]
    if way == "assign":
        broker.middleware = given
    elif way == "append":
        broker.middleware.clear()
        for one in given:
            broker.middleware.append(one)
    elif way == "insert":
        broker.middleware.clear()
        for one in given:
            broker.middleware.insert(0, one)
    elif way == "replace":
        broker.middleware = [Retries(), Retries(), given[2]]
        broker.middleware[0], broker.middleware[1] = given[0], given[1]
    elif way == "slice":
        broker.middleware[:] = given
    else:
        broker.middleware.clear()
        broker.middleware += given

    kinds = {type(one) for one in broker.middleware}
    assert {LedgerTimeLimit, LedgerGroupCallbacks, Retries} == kinds
    assert next(one for one in broker.middleware if isinstance(one, TimeLimit)).time_limit == 7


class TestWhatIsPatchedAroundTheClass:
    """As OpenTelemetry's instrumentor for dramatiq 0.1.4 does it: a method that calls the one that it replaces."""

    @pytest.mark.parametrize("fails", [False, True])
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_patch_of_process_message_surrounds_ours_whenever_it_was_made(
        self, broker: LedgerBroker, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch, when: str, fails: bool
    ) -> None:
        # K2.14
        seen: list[Any] = []
        original = WorkerThread.process_message

        @functools.wraps(original)
        def traced(self: Any, message: Any) -> Any:
            seen.append((message.actor_name, message.options.get("trace"), message.message_id))
            result = original(self, message)
            seen.append("ended")
            return result

        @dramatiq.actor(max_retries=0)
        def act() -> None:
            seen.append("acted")
            if fails:
                raise ValueError("no")

        if when == "before":
            monkeypatch.setattr(WorkerThread, "process_message", traced)
        start_worker()
        if when == "after":
            monkeypatch.setattr(WorkerThread, "process_message", traced)
        sent = act.send_with_options(trace="t")
        broker.join("default", timeout=JOIN)

        assert seen == [("act", "t", sent.message_id), "acted", "ended"]
        assert first(broker).state == ("dead" if fails else "succeeded")

    def test_a_patch_of_process_message_surrounds_runs_on_our_worker(
        self, broker: LedgerBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # K2.14
        seen: list[Any] = []
        original = WorkerThread.process_message

        def traced(self: Any, message: Any) -> Any:
            seen.append((message.actor_name, message.options.get("trace")))
            return original(self, message)

        monkeypatch.setattr(WorkerThread, "process_message", traced)

        @dramatiq.actor
        def act() -> None:
            seen.append("acted")

        act.send_with_options(trace="t")
        with started(broker.app, "default"):
            broker.join("default", timeout=JOIN)

        assert seen == [("act", "t"), "acted"]

    def test_without_a_patch_only_our_method_is_called(self, broker: LedgerBroker, start_worker: StartWorker) -> None:
        @dramatiq.actor(time_limit=60_000)
        def act() -> str:
            return datetime.max.isoformat()

        act.send()
        start_worker()
        broker.join("default", timeout=JOIN)

        assert first(broker).result == datetime.max.isoformat()


def test_a_middleware_that_wants_a_process_is_refused_in_words(broker: LedgerBroker) -> None:
    # K2.14
    class Wants(dramatiq.Middleware):
        @property
        def forks(self) -> list[Any]:
            return [lambda: 0]

    broker.middleware.append(Wants())

    @dramatiq.actor
    def act() -> None: ...

    with pytest.raises(ConfigurationError, match="Wants needs a process of its own"):
        brokers_of(broker.app)


def test_dramatiqs_prometheus_ends_our_worker_in_one_clear_line(tmp_path: Path, sqlite_url: str) -> None:
    # K2.14
    (tmp_path / "mine.py").write_text(
        "import dramatiq\nfrom dramatiq.middleware.prometheus import Prometheus\n"
        "from jobs.dramatiq import LedgerBroker\n"
        "dramatiq.set_broker(LedgerBroker(middleware=[Prometheus()]))\n@dramatiq.actor\ndef act(): ...\n"
    )
    environment = {**os.environ, "JOBS_DATABASE_URL": sqlite_url, "PYTHONPATH": str(tmp_path)}

    ended = subprocess.run(
        [sys.executable, "-m", "admin_cli.main", "worker", "--import", "mine"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert ended.returncode == 2
    assert "Prometheus needs a process of its own" in ended.stderr
    assert "Traceback" not in ended.stderr
