"""Under dramatiq's own command too an attempt ends whatever goes wrong around it: it is never held for ever. K.3"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import Middleware, SkipMessage
from sqlalchemy import select

from jobs.database.models import JobAttempt, JobRun
from jobs.dramatiq import LedgerBroker
from tests.jobs.dramatiq.conftest import StartWorker
from tests.waiting import wait_until


def fail(*given: Any, **named: Any) -> Any:
    raise KeyError("ours")


def run_of(broker: LedgerBroker) -> Any:
    with broker.app.database.read() as connection:
        return connection.execute(select(JobRun.__table__)).one()


def outcomes(broker: LedgerBroker) -> list[str]:
    with broker.app.database.read() as connection:
        return [str(one) for one in connection.scalars(select(JobAttempt.outcome).order_by(JobAttempt.attempt))]


class SkipsAcknowledgements(Middleware):
    def before_ack(self, broker: Any, message: Any) -> None:
        raise SkipMessage


@pytest.mark.parametrize(
    "place", ["the message outcome", "the attempt result", "processing", "a hook of the acknowledgement"]
)
def test_an_error_around_a_message_is_recorded_and_is_poison_after_the_third(
    broker: LedgerBroker, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr("jobs.ledger.runs.sweep.CRASH_DELAY", timedelta(seconds=0.05))
    if place == "a hook of the acknowledgement":
        broker.add_middleware(SkipsAcknowledgements())
    else:
        names = {
            "the message outcome": "message_outcome_of",
            "the attempt result": "attempt_result_of",
            "processing": "process",
        }
        monkeypatch.setattr(f"worker.dramatiq.plain_worker.{names[place]}", fail)

    @dramatiq.actor
    def act() -> None: ...

    act.send()
    start_worker()

    assert wait_until(lambda: run_of(broker).state == "dead", seconds=60)
    assert run_of(broker).cause == "poison"
    assert outcomes(broker) == ["abandoned"] * 3
