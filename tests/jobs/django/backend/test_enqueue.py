"""LedgerBackend, by the names and contracts of Django's own tests of tasks; docs/django.md lists the contract."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

import jobs
from jobs.errors import ArgumentsRefused, KeyConflict
from jobs.testing import Ledger
from tests.jobs.django.backend.asking import django_settings, refused


def test_the_backend_has_the_four_capabilities_of_djangos_tasks(tasks: Any) -> None:
    from jobs.django.framework import task_backends

    backend = task_backends["default"]

    assert backend.alias == "default"
    assert backend.options == {}
    assert backend.supports_defer
    assert backend.supports_async_task
    assert backend.supports_get_result
    assert backend.supports_priority


def test_arguments_that_are_not_json_are_refused(tasks: Any) -> None:
    for invalid in (datetime.now(), b"\xff", object()):
        with pytest.raises((TypeError, ValueError), match="Unsupported"):
            tasks.noop_task.enqueue(invalid)
    for invalid in (float("nan"), "half \ud800", "NUL \0", 2**70):
        with pytest.raises(ArgumentsRefused):
            tasks.noop_task.enqueue(invalid)


def test_arguments_are_normalised_to_json(perform: Any, tasks: Any) -> None:
    result = tasks.noop_task.enqueue((1, b"text"), pair=("a", "b"))

    assert (result.args, result.kwargs) == ([[1, "text"]], {"pair": ["a", "b"]})


async def _async_calls(tasks: Any) -> Any:
    result = await tasks.noop_task.aenqueue(1)
    found = await tasks.noop_task.aget_result(result.id)
    await result.arefresh()
    return result, found


def test_the_async_calls_do_the_same(tasks: Any) -> None:
    from asgiref.sync import async_to_sync

    result, found = async_to_sync(_async_calls)(tasks)

    assert result == found == tasks.noop_task.get_result(result.id)


def test_a_run_goes_to_its_tasks_queue(performing: Ledger, tasks: Any) -> None:
    result = tasks.noop_task.using(queue_name="queue_1").enqueue()

    assert jobs.find(result.id).queue == "queue_1"
    assert tasks.noop_task.get_result(result.id).task.queue_name == "queue_1"


def test_tasks_that_the_ledger_cannot_hold_are_refused(tasks: Any) -> None:
    from jobs.django.framework import task

    with refused("Queue 'queue-2' is not valid for backend"):
        tasks.noop_task.using(queue_name="queue-2")
    for priority in (101, -101, 3.1):
        with refused("priority must be a whole number between -100 and 100"):
            tasks.noop_task.using(priority=priority)
    with refused("run_after must be an aware datetime"):
        tasks.noop_task.using(run_after=datetime.now())
    with refused("Task takes context but does not have a first argument of 'context'"):
        task(takes_context=True)(tasks.calculate_meaning_of_life.func)

    def inner() -> None: ...

    for invalid in (any, test_tasks_that_the_ledger_cannot_hold_are_refused.__get__(1), inner):
        with refused("Task function must be defined at a module level"):
            task()(invalid)
    nameless = lambda: None  # noqa: E731
    nameless.__qualname__ = "<lambda>"
    with refused("cannot name a kind"):
        task()(nameless)


def test_a_queue_is_checked_when_the_task_is_enqueued(tasks: Any) -> None:
    valid = tasks.noop_task.using(queue_name="queue_1")

    with (
        django_settings(TASKS={"default": {"BACKEND": "jobs.django.LedgerBackend", "QUEUES": ["other"]}}),
        refused("Queue 'queue_1' is not valid for backend"),
    ):
        valid.enqueue()
    with django_settings(TASKS={"default": {"BACKEND": "jobs.django.LedgerBackend", "QUEUES": []}}):
        tasks.noop_task.using(queue_name="any-queue").enqueue()
        with refused("cannot name a queue"):
            tasks.noop_task.using(queue_name="no queue!")


def test_equal_keys_are_one_run_and_a_conflict_leaves_the_block_usable(tasks: Any) -> None:
    from django.db import transaction

    from tests.django_project.shop.models import Order

    with transaction.atomic():
        first = tasks.charge_once.enqueue(7)
        again = tasks.charge_once.enqueue(7)
        with pytest.raises(KeyConflict):
            tasks.charge_once.enqueue(7, amount=2)
        Order.objects.create(item="book")

    assert again.id == first.id
    assert Order.objects.count() == 1
    assert tasks.charge_once.get_result(first.id).kwargs == {}


def test_options_by_path_win_over_the_decorator_and_it_over_the_defaults(tasks: Any) -> None:
    from jobs.django.task_job import class_of

    options = {
        "timeout": "5m",
        "retry": {"max_attempts": 4, "first": "2s"},
        "tasks": {tasks.succeed_on.module_path: {"timeout": "1m"}},
    }
    with django_settings(TASKS={"default": {"BACKEND": "jobs.django.LedgerBackend", "OPTIONS": options}}):
        tasks.succeed_on.enqueue(1)
        tasks.noop_task.enqueue()
        by_path, plain = class_of(tasks.succeed_on.module_path), class_of(tasks.noop_task.module_path)

    assert by_path is not None
    assert plain is not None
    assert (by_path.options.timeout, by_path.options.retry.max_attempts) == (timedelta(minutes=1), 3)
    assert (plain.options.timeout, plain.options.retry.max_attempts) == (timedelta(minutes=5), 4)
    assert plain.options.retry.first == timedelta(seconds=2)
