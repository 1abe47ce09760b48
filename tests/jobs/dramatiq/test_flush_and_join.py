"""Flush, join and the options of an actor do what dramatiq's own brokers do."""

from __future__ import annotations

from typing import Any

import dramatiq
import pytest
from dramatiq.errors import QueueJoinTimeout, QueueNotFound

from jobs.dramatiq import LedgerBroker
from jobs.errors import DefinitionError
from tests.jobs.dramatiq.broker_runs import JOIN, runs
from tests.jobs.dramatiq.conftest import StartWorker


def test_flush_cancels_what_waits_and_join_runs_out_of_time(broker: LedgerBroker) -> None:
    @dramatiq.actor
    def act() -> None: ...

    act.send()
    act.send_with_options(delay=60_000)
    with pytest.raises(QueueJoinTimeout):
        broker.join("default", timeout=10)
    assert broker.get_queue_message_counts("default") == (1, 1, 0)
    broker.flush_all()

    broker.join("default", timeout=10)
    assert [run["state"] for run in runs(broker)] == ["cancelled", "cancelled"]


def test_join_raises_what_a_message_died_of_when_asked(broker: LedgerBroker, start_worker: StartWorker) -> None:
    @dramatiq.actor(max_retries=0)
    def bad() -> None:
        raise RuntimeError("this")

    worker = start_worker()
    bad.send()
    broker.join("default", timeout=JOIN, fail_fast=False)
    worker.join()

    with pytest.raises(RuntimeError, match="this"):
        broker.join("default", timeout=JOIN, fail_fast=True)


def test_invalid_options_are_refused_with_dramatiqs_own_errors(broker: LedgerBroker) -> None:
    @dramatiq.actor
    def act(x: Any) -> None: ...

    with pytest.raises(TypeError, match="not JSON serializable"):
        act.send(object())
    with pytest.raises(ValueError, match="undefined"):
        dramatiq.actor(queu_name="x")(lambda: None)
    with pytest.raises(QueueNotFound):
        broker.enqueue(dramatiq.Message("never", "act", (), {}, {}))
    with pytest.raises(QueueNotFound):
        broker.consume("never")
    with pytest.raises(DefinitionError, match="priority"):
        dramatiq.actor(priority=5000, actor_name="too")(lambda: None)


def test_a_custom_encoder_is_honoured(
    broker: LedgerBroker, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dramatiq.message.global_encoder", dramatiq.PickleEncoder())
    got: list[Any] = []

    @dramatiq.actor
    def act(x: Any) -> None:
        got.append(x)

    act.send({1, 2})
    start_worker()
    broker.join("default", timeout=JOIN)

    assert got == [{1, 2}]
