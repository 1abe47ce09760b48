"""Actors on a LedgerBroker, performed by dramatiq's own worker: every option means what it means in dramatiq."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq import Retry, group, pipeline
from dramatiq.errors import QueueJoinTimeout, QueueNotFound
from dramatiq.middleware import AsyncIO, CurrentMessage, Middleware, SkipMessage, TimeLimitExceeded
from dramatiq.results import ResultFailure, Results
from dramatiq.results.backends import StubBackend
from sqlalchemy import select

from jobs.database.models import JobAttempt, JobRun
from jobs.dramatiq import LedgerBroker
from jobs.errors import DefinitionError
from tests.jobs.dramatiq.conftest import StartWorker

JOIN = 100_000


def runs(broker: LedgerBroker) -> list[Any]:
    with broker.app.database.read() as connection:
        return list(connection.execute(select(JobRun).order_by(JobRun.created_at, JobRun.id)).mappings())


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


def test_on_retry_exhausted_on_success_and_on_failure_are_sent_once_each(
    broker: LedgerBroker, start_worker: StartWorker
) -> None:
    got: list[Any] = []

    @dramatiq.actor
    def note(message: dict[str, Any], what: Any) -> None:
        got.append((message["actor_name"], what))

    @dramatiq.actor
    def fine() -> int:
        return 5

    @dramatiq.actor(max_retries=1, min_backoff=1, max_backoff=1, on_retry_exhausted="note")
    def bad() -> None:
        raise ValueError("no")

    fine.send_with_options(on_success=note)
    bad.send_with_options(on_failure=note)
    start_worker()
    broker.join("default", timeout=JOIN)

    failure = {"type": "ValueError", "message": "no"}
    expected = [("fine", 5), ("bad", failure), ("bad", failure), ("bad", {"retries": 1, "max_retries": 1})]
    assert sorted(got, key=repr) == sorted(expected, key=repr)


def test_a_callback_of_a_lost_lease_is_not_sent(broker: LedgerBroker) -> None:
    from jobs.ledger.runs.claim import claim_due
    from jobs.ledger.runs.settle import settle
    from jobs.messages.message_outcome import message_outcome_of
    from jobs.messages.proxy import LedgerMessage
    from worker.attempt.outcome import attempt_result_of

    @dramatiq.actor(on_success="note")
    def fine() -> None: ...

    @dramatiq.actor
    def note(message: dict[str, Any], result: Any) -> None: ...

    fine.send()
    app = broker.app
    with app.database.write() as connection:
        (claim,) = claim_due(connection, "default", count=1, kinds=["fine"], worker="w", lease=timedelta(seconds=9))
    message = LedgerMessage(claim)
    broker.emit_after("process_message", message, result=None)
    attempt_result = attempt_result_of(app, claim, app.clock.monotonic(), message_outcome_of(message, max_bytes=10_000))

    counts = []
    for _ in range(2):  # The second is a zombie's.
        with app.database.write() as connection:
            settle(connection, [attempt_result], worker="w", poison_after=3, monotonic=app.clock.monotonic())
        counts.append([run["kind"] for run in runs(broker)])

    assert counts == [["fine", "note"], ["fine", "note"]]


def test_pipelines_groups_and_results_work(broker: LedgerBroker, start_worker: StartWorker) -> None:
    broker.add_middleware(Results(backend=StubBackend()))

    @dramatiq.actor(store_results=True)
    def add(x: int, y: int) -> int:
        return x + y

    @dramatiq.actor(store_results=True, max_retries=0)
    def fail() -> None:
        raise RuntimeError("no")

    start_worker()
    piped = (add.message(1, 2) | add.message(3) | add.message(4)).run()
    many = group([add.message(i, i) for i in range(5)] + [pipeline([add.message(1, 1), add.message(1)])]).run()

    assert piped.get_result(block=True, timeout=JOIN) == 10
    assert list(many.get_results(block=True, timeout=JOIN)) == [0, 2, 4, 6, 8, 3]
    with pytest.raises(ResultFailure, match="no"):
        fail.send().get_result(block=True, timeout=JOIN)


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


def test_hooks_are_called_in_dramatiqs_order_and_a_skipped_message_is_cancelled(
    broker: LedgerBroker, start_worker: StartWorker
) -> None:
    # The sender's and the worker's: the worker may be done before the sender's last hook.
    sent: list[str] = []
    seen: list[str] = []

    class Watch(Middleware):
        def before_process_message(self, broker: Any, message: Any) -> None:
            seen.append("before_process_message")
            if message.args == ("skip",):
                raise SkipMessage("not this one")

        def after_process_message(
            self, broker: Any, message: Any, *, result: Any = None, exception: Any = None
        ) -> None:
            seen.append("after_process_message")

        def after_skip_message(self, broker: Any, message: Any) -> None:
            seen.append("after_skip_message")

        def before_ack(self, broker: Any, message: Any) -> None:
            seen.append("before_ack")

        def after_ack(self, broker: Any, message: Any) -> None:
            seen.append("after_ack")

        def before_enqueue(self, broker: Any, message: Any, delay: Any) -> None:
            sent.append("before_enqueue")

        def after_enqueue(self, broker: Any, message: Any, delay: Any) -> None:
            sent.append("after_enqueue")

    broker.add_middleware(Watch())

    @dramatiq.actor
    def act(what: str) -> None:
        seen.append("act")

    worker = start_worker()
    act.send("do")
    broker.join("default", timeout=JOIN)
    worker.join()
    act.send("skip")
    broker.join("default", timeout=JOIN)
    worker.join()

    assert sent == ["before_enqueue", "after_enqueue"] * 2
    assert seen == [
        "before_process_message", "act", "after_process_message", "before_ack", "after_ack",
        "before_process_message", "after_skip_message", "before_ack", "after_ack",
    ]  # fmt: skip
    assert [run["state"] for run in runs(broker)] == ["succeeded", "cancelled"]


def test_a_message_without_an_actor_is_dead_as_unknown_kind(broker: LedgerBroker, start_worker: StartWorker) -> None:
    broker.declare_queue("default")
    broker.enqueue(dramatiq.Message("default", "nobody", (), {}, {}))
    start_worker()
    broker.join("default", timeout=JOIN)

    assert [(run["state"], run["cause"]) for run in runs(broker)] == [("dead", "unknown_kind")]


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


def wait(fact: Any) -> bool:
    from tests.waiting import wait_until

    return wait_until(fact, seconds=60)
