"""Actors in operators' hands: enqueued with arguments by name, scheduled, and admitted once by a key."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from types import ModuleType
from typing import Any

import dramatiq
import pytest
from dramatiq import group
from dramatiq.broker import set_broker
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import CurrentMessage, GroupCallbacks
from dramatiq.rate_limits.backends import StubBackend as RateLimits
from dramatiq.results import Results
from dramatiq.results.backends import StubBackend

from admin_cli import main
from jobs import FOREVER, Every, Within
from jobs.client.declared_schedules import declared
from jobs.definition import registry
from jobs.dramatiq import LedgerBroker
from jobs.errors import ArgumentsRefused, DefinitionError, EnqueueRefused, KeyConflict
from jobs.operations.audit.operator import Operator
from jobs.operations.insight.kinds import arguments_of, definition_of
from jobs.operations.runs.enqueue import enqueue_run
from jobs.operations.schedules.actions import run_schedule
from jobs.operations.schedules.edit import change_schedule, new_schedule
from scheduler.sync import sync
from tests.jobs.dramatiq.broker_runs import JOIN, runs
from tests.jobs.dramatiq.conftest import StartWorker

ADA = Operator("ada@desk")
DAILY = {"type": "cron", "expression": "0 3 * * *"}


@pytest.fixture
def mails(broker: LedgerBroker) -> list[Any]:
    """What ``deliver`` was called with, and as which message."""
    seen: list[Any] = []
    broker.add_middleware(CurrentMessage())

    @dramatiq.actor(queue_name="mail")
    def deliver(to: str, copies: int = 1, *more: str, urgent: bool = False) -> None:
        "Send a mail."
        message: Any = CurrentMessage.get_current_message()
        seen.append(((to, copies, *more), urgent, message.message_id))

    return seen


def test_an_operator_enqueues_an_actor_with_arguments_that_are_read_by_its_annotations(
    broker: LedgerBroker, mails: list[Any], start_worker: StartWorker
) -> None:
    first = enqueue_run(broker.app, ADA, "deliver", {"to": "ann", "copies": "3", "urgent": "true"})
    second = enqueue_run(broker.app, ADA, "deliver", {"to": "bob", "more": ["x"]}, delay=timedelta(0))
    start_worker()
    broker.join("mail", timeout=JOIN)

    # Each message has an id of its own: its run's.
    assert sorted(mails) == [(("ann", 3), True, str(first.id)), (("bob", 1, "x"), False, str(second.id))]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "to: Field required"),
        ({"to": "ann", "copies": "many"}, "copies: Input should be a valid integer"),
        ({"to": "ann", "cc": "bob"}, "cc: Extra inputs are not permitted"),
    ],
)
def test_arguments_that_do_not_fit_the_actor_are_refused(
    broker: LedgerBroker, mails: list[Any], given: dict[str, Any], says: str
) -> None:
    with pytest.raises(ArgumentsRefused, match=says):
        enqueue_run(broker.app, ADA, "deliver", given)
    with pytest.raises(ArgumentsRefused, match=says):
        new_schedule(broker.app, "nightly", "deliver", given, DAILY, by=ADA)

    assert runs(broker) == []


def test_operators_see_an_actors_parameters(mails: list[Any]) -> None:
    cls = registry.get("deliver")

    assert [(one["name"], one["type"], one["default"]) for one in arguments_of(cls)][:2] == [
        ("to", "str", "required"),
        ("copies", "int", "1"),
    ]
    assert definition_of(cls)["doc"] == "Send a mail."
    assert definition_of(cls)["arguments"]["required"] == ["to"]


def test_parameters_may_be_called_anything_and_annotated_with_anything(
    broker: LedgerBroker, start_worker: StartWorker
) -> None:
    seen: list[Any] = []

    class Unreadable:
        pass

    def odd(_x: Any, run: Unreadable, copy: "Nowhere", **rest: Any) -> None:  # type: ignore[name-defined]  # noqa: F821, UP037
        seen.append((_x, run, copy, rest))

    class Loud(dramatiq.GenericActor):
        def perform(self, word: str) -> None:
            seen.append(word)

    dramatiq.actor(odd)
    enqueue_run(broker.app, ADA, "odd", {"_x": 1, "run": "2", "copy": [3], "name": 4})
    enqueue_run(broker.app, ADA, "Loud", {"word": "hey"})
    start_worker()
    broker.join("default", timeout=JOIN)

    assert sorted(seen, key=str) == [(1, "2", [3], {"name": 4}), "hey"]


def test_a_schedule_of_an_actor_makes_a_message_of_its_own_each_time(
    broker: LedgerBroker, mails: list[Any], start_worker: StartWorker
) -> None:
    new_schedule(broker.app, "nightly", "deliver", {"to": "ann"}, DAILY, by=ADA)
    first = run_schedule(broker.app, "nightly", by=ADA)
    change_schedule(broker.app, "nightly", {}, arguments={"to": "bob"}, by=ADA)
    second = run_schedule(broker.app, "nightly", by=ADA)
    start_worker()
    broker.join("mail", timeout=JOIN)

    assert sorted(mails) == [(("ann", 1), False, str(first)), (("bob", 1), False, str(second))]


def test_a_retry_of_a_scheduled_run_keeps_its_message(broker: LedgerBroker, start_worker: StartWorker) -> None:
    seen: list[Any] = []
    broker.add_middleware(CurrentMessage())

    @dramatiq.actor(max_retries=1, min_backoff=1, max_backoff=2)
    def flaky() -> None:
        message: Any = CurrentMessage.get_current_message()
        seen.append((message.message_id, message.message_timestamp))
        if len(seen) < 2:
            raise ValueError("not yet")

    new_schedule(broker.app, "often", "flaky", {}, DAILY, by=ADA)
    run_id = run_schedule(broker.app, "often", by=ADA)
    start_worker()
    broker.join("default", timeout=JOIN)

    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert seen[0][0] == str(run_id)
    assert runs(broker)[0]["max_attempts"] == 4


def test_a_module_may_list_schedules_of_messages_and_of_actors(
    broker: LedgerBroker, mails: list[Any], start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver = broker.get_actor("deliver")
    module = ModuleType("shop_schedules")
    module.schedules = [Every(timedelta(days=1), job=deliver.message("ann", urgent=True), name="a")]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "shop_schedules", module)

    sync(broker.app, declared())
    # Imported anew, the message has another id, and is the same schedule.
    module.schedules[0] = Every(timedelta(days=1), job=deliver.message("ann", urgent=True), name="a")
    again = sync(broker.app, declared())
    run_id = run_schedule(broker.app, "a", by=ADA)
    start_worker()
    broker.join("mail", timeout=JOIN)

    assert again.changed == []
    assert mails == [(("ann", 1), True, str(run_id))]


@pytest.mark.parametrize("options", [{"delay": 5}, {"eta": 5}, {"key": "k"}])
def test_a_scheduled_message_with_a_delay_or_a_key_is_refused(
    broker: LedgerBroker, mails: list[Any], monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    message = broker.get_actor("deliver").message_with_options(args=("ann",), **options)
    module = ModuleType("shop_schedules")
    module.schedules = [Every(timedelta(days=1), job=message)]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "shop_schedules", module)

    with pytest.raises(DefinitionError, match=f"without {next(iter(options))}"):
        declared()


def test_a_message_of_another_broker_is_no_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = StubBroker()
    module = ModuleType("shop_schedules")

    @dramatiq.actor(broker=stub)
    def stranger() -> None: ...

    module.schedules = [Every(timedelta(days=1), job=stranger)]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "shop_schedules", module)

    with pytest.raises(DefinitionError, match="not an actor of a LedgerBroker"):
        declared()


def test_a_key_is_admitted_once_while_its_message_lives_and_answers_with_it(
    broker: LedgerBroker, start_worker: StartWorker
) -> None:
    broker.add_middleware(Results(backend=StubBackend()))

    @dramatiq.actor(store_results=True)
    def charge(order_id: int) -> int:
        return order_id

    first = charge.send_with_options(args=(7,), key="order-7")
    again = charge.send_with_options(kwargs={"order_id": 7}, key="order-7", delay=60_000)
    with pytest.raises(KeyConflict):
        charge.send_with_options(args=(8,), key="order-7")
    by_hand = enqueue_run(broker.app, ADA, "charge", {"order_id": "7"}, key="order-7")
    start_worker()
    broker.join("default", timeout=JOIN)

    assert len(runs(broker)) == 1
    assert again.message_id == first.message_id
    assert again.get_result(block=True, timeout=JOIN) == 7
    assert (by_hand.id, by_hand.created) == (runs(broker)[0]["id"], False)
    charge.send_with_options(args=(7,), key="order-7")
    assert len(runs(broker)) == 2


@pytest.mark.parametrize("unique", [Within(timedelta(hours=1)), FOREVER])
def test_an_actor_may_make_its_key_and_say_how_long_it_is_held(
    broker: LedgerBroker, start_worker: StartWorker, unique: Any
) -> None:
    @dramatiq.actor(key=lambda order_id: f"order-{order_id}" if order_id else None, unique=unique)
    def charge(order_id: int) -> None: ...

    charge.send(7)
    start_worker()
    broker.join("default", timeout=JOIN)
    charge.send(7)
    by_hand = enqueue_run(broker.app, ADA, "charge", {"order_id": 7})

    assert len(runs(broker)) == 1
    assert not by_hand.created
    with pytest.raises(EnqueueRefused, match="there is no key"):
        charge.send(0)


def test_invalid_options_of_a_key_are_refused(broker: LedgerBroker) -> None:
    broker.add_middleware(GroupCallbacks(RateLimits()))

    @dramatiq.actor(key=str)
    def charge(order_id: int) -> None: ...

    with pytest.raises(DefinitionError, match="takes a function"):
        dramatiq.actor(lambda: None, actor_name="bad", key="order")
    with pytest.raises(EnqueueRefused, match="cannot be a key"):
        charge.send_with_options(args=(7,), key="")
    together = group([charge.message(7)])
    together.add_completion_callback(charge.message(8))
    with pytest.raises(EnqueueRefused, match="in a group"):
        together.run()


def test_other_brokers_do_not_know_the_options_of_keys(broker: LedgerBroker) -> None:
    set_broker(StubBroker())

    with pytest.raises(ValueError, match="unique"):
        dramatiq.actor(lambda: None, actor_name="charge", unique=FOREVER)


def test_a_key_under_another_encoder_compares_the_calls(broker: LedgerBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dramatiq.message.global_encoder", dramatiq.PickleEncoder())

    @dramatiq.actor
    def charge(order: Any) -> None: ...

    charge.send_with_options(args=({1, 2},), key="k")
    charge.send_with_options(args=({1, 2},), key="k")
    with pytest.raises(KeyConflict):
        charge.send_with_options(args=({1, 3},), key="k")

    (run,) = runs(broker)
    assert json.dumps(run["arguments"]).startswith('{"encoded"')


def test_the_command_enqueues_an_actor_with_a_key(
    broker: LedgerBroker, mails: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    url = broker.app.settings.database_url
    assert url is not None
    command = ["--database-url", url, "enqueue", "deliver", "-a", "to=ann", "--key", "welcome-ann"]

    assert main.run(command) == 0
    first = capsys.readouterr()
    assert main.run(command) == 0
    second = capsys.readouterr()

    (run,) = runs(broker)
    assert first.out == second.out == f"{run['id']}\n"
    assert (first.err, run["key"]) == ("", "welcome-ann")
    assert "already holds the key" in second.err
