"""Actors on a LedgerBroker, performed by dramatiq's own worker: every option means what it means in dramatiq."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq import Retry
from dramatiq.middleware import AsyncIO, CurrentMessage, TimeLimitExceeded
from sqlalchemy import select

from jobs.database.models import JobAttempt
from jobs.dramatiq import LedgerBroker
from tests.jobs.dramatiq.broker_runs import JOIN, runs, wait
from tests.jobs.dramatiq.conftest import StartWorker


def test_a_message_is_a_run_with_its_actors_name_queue_priority_and_arguments(broker: LedgerBroker) -> None:
    @dramatiq.actor(queue_name="mail", priority=7, max_retries=2)
    def deliver(to: str, *, copy: bool) -> None: ...

    sent = deliver.send("ann", copy=True)

    (run,) = runs(broker)
    # Two retries, and two deaths of a worker, which spend none.
    assert (run["kind"], run["queue"], run["priority"], run["max_attempts"]) == ("deliver", "mail", 7, 5)
    assert run["arguments"]["args"] == ["ann"]
    assert run["arguments"]["kwargs"] == {"copy": True}
    assert run["arguments"]["message_id"] == sent.message_id


def test_a_failing_actor_is_tried_until_it_succeeds_and_each_attempt_is_a_row(
    broker: LedgerBroker, start_worker: StartWorker
) -> None:
    seen: list[Any] = []
    broker.add_middleware(CurrentMessage())

    @dramatiq.actor(max_retries=5, min_backoff=1, max_backoff=2)
    def flaky() -> None:
        message = CurrentMessage.get_current_message()
        assert message is not None
        seen.append(message.options.get("retries", 0))
        if len(seen) < 3:
            raise ValueError("not yet")

    flaky.send()
    start_worker()
    broker.join("default", timeout=JOIN)

    assert seen == [0, 1, 2]
    with broker.app.database.read() as connection:
        rows = connection.execute(select(JobAttempt.outcome, JobAttempt.error_message).order_by(JobAttempt.attempt))
        assert [tuple(row) for row in rows] == [("failed", "not yet"), ("failed", "not yet"), ("succeeded", None)]


@pytest.mark.parametrize(
    ("options", "raises", "attempts", "cause"),
    [
        ({"max_retries": 1, "min_backoff": 1, "max_backoff": 1}, ValueError, 2, "exhausted"),
        ({"max_retries": 0}, ValueError, 1, "exhausted"),
        ({"throws": (ValueError,)}, ValueError, 1, "gave_up"),
        (
            {"retry_when": lambda tried, error: tried < 2, "min_backoff": 1, "max_backoff": 1},
            ValueError,
            3,
            "exhausted",
        ),
        ({"max_retries": 2}, lambda: Retry("again", delay=1), 3, "exhausted"),
    ],
)
def test_a_message_dies_when_dramatiq_would_dead_letter_it(
    broker: LedgerBroker, start_worker: StartWorker, options: dict[str, Any], raises: Any, attempts: int, cause: str
) -> None:
    @dramatiq.actor(**options)
    def doomed() -> None:
        raise raises()

    doomed.send()
    start_worker()
    broker.join("default", timeout=JOIN)

    (run,) = runs(broker)
    assert (run["state"], run["cause"], run["attempt"]) == ("dead", cause, attempts)
    assert broker.get_queue_message_counts("default") == (0, 0, 1)
    assert len(broker.dead_letters) == 1


def test_a_delay_of_years_and_a_backoff_of_weeks_wait_in_the_ledger(
    broker: LedgerBroker, start_worker: StartWorker
) -> None:
    @dramatiq.actor(min_backoff=30 * 86_400_000, max_backoff=60 * 86_400_000)
    def later(fails: bool) -> None:
        raise ValueError

    later.send_with_options(args=(False,), delay=timedelta(days=400))
    later.send(True)
    start_worker()
    assert wait(lambda: [run["attempt"] for run in runs(broker)] == [0, 1] and runs(broker)[1]["state"] == "queued")

    waits = [(run["run_at"] - run["created_at"]).days for run in runs(broker)]
    assert waits[0] in (399, 400)
    assert waits[1] >= 14


def test_async_actors_and_class_based_actors_work(broker: LedgerBroker, start_worker: StartWorker) -> None:
    broker.add_middleware(AsyncIO())
    got: list[int] = []

    @dramatiq.actor
    async def coro(x: int) -> None:
        got.append(x)

    class Base(dramatiq.GenericActor):
        class Meta:
            abstract = True
            queue_name = "classes"

        def perform(self, x: int) -> None:
            got.append(x)

    class Sub(Base): ...

    coro.send(1)
    Sub.send(2)  # type: ignore[attr-defined]
    start_worker()
    for queue in ("default", "classes"):
        broker.join(queue, timeout=JOIN)

    assert sorted(got) == [1, 2]


def test_an_actor_over_its_time_limit_gets_dramatiqs_own_exception(
    broker: LedgerBroker, start_worker: StartWorker
) -> None:
    caught: list[type] = []

    @dramatiq.actor(max_retries=0, time_limit=60_000)
    def slow() -> None:
        try:
            while True:
                time.sleep(0.001)
        except TimeLimitExceeded as error:
            caught.append(type(error))
            raise

    slow.send_with_options(time_limit=50)
    start_worker()
    broker.join("default", timeout=JOIN)

    assert len(caught) == 1
    with broker.app.database.read() as connection:
        assert connection.scalars(select(JobAttempt.outcome)).all() == ["timed_out"]


def test_a_message_older_than_its_max_age_is_dead_as_expired(broker: LedgerBroker, start_worker: StartWorker) -> None:
    done: list[int] = []

    @dramatiq.actor(max_age=60_000)
    def fresh(x: int) -> None:
        done.append(x)

    old = fresh.message(1)._replace(message_timestamp=int(time.time() * 1000) - 120_000)
    broker.enqueue(old)
    fresh.send(2)
    start_worker()
    broker.join("default", timeout=JOIN)

    assert done == [2]
    assert [(run["state"], run["cause"]) for run in runs(broker)] == [("dead", "expired"), ("succeeded", None)]


def test_a_message_without_an_actor_is_dead_as_unknown_kind(broker: LedgerBroker, start_worker: StartWorker) -> None:
    broker.declare_queue("default")
    broker.enqueue(dramatiq.Message("default", "nobody", (), {}, {}))
    start_worker()
    broker.join("default", timeout=JOIN)

    assert [(run["state"], run["cause"]) for run in runs(broker)] == [("dead", "unknown_kind")]
