"""LedgerBackend, by the names and contracts of Django's own tests of tasks; docs/django.md lists the contract."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import jobs
from jobs.errors import ArgumentsRefused, KeyConflict
from jobs.testing import Ledger
from tests.jobs.django.conftest import only


@pytest.fixture
def tasks(project: str) -> Any:
    from tests.django_project.shop import tasks

    return tasks


@pytest.fixture
def perform(performing: Ledger, tasks: Any) -> Any:
    """Enqueues a task and performs it once; returns its result, reloaded."""

    def perform(task: Any, *args: Any, **kwargs: Any) -> Any:
        result = task.enqueue(*args, **kwargs)
        performing.drain()
        result.refresh()
        return result

    return perform


@contextmanager
def django_settings(**changed: Any) -> Iterator[None]:
    from django.test import override_settings

    with override_settings(**changed):
        yield


def refused(match: str) -> Any:
    from jobs.django.framework import InvalidTask

    return pytest.raises(InvalidTask, match=match)


def test_the_backend_has_the_four_capabilities_of_djangos_tasks(tasks: Any) -> None:
    from jobs.django.framework import task_backends

    backend = task_backends["default"]

    assert backend.alias == "default"
    assert backend.options == {}
    assert backend.supports_defer
    assert backend.supports_async_task
    assert backend.supports_get_result
    assert backend.supports_priority


@pytest.mark.parametrize("name", ["noop_task", "noop_task_async", "noop_task_from_bare_decorator"])
def test_an_enqueued_task_is_ready_and_its_result_reads_back_equal(tasks: Any, name: str) -> None:
    task = getattr(tasks, name)

    result = task.enqueue(1, two=3)

    assert result.status.name == "READY"
    assert (result.task, result.args, result.kwargs) == (task, [1], {"two": 3})
    assert (result.attempts, result.errors, result.worker_ids) == (0, [], [])
    assert (result.started_at, result.last_attempted_at, result.finished_at) == (None, None, None)
    assert abs(datetime.now(UTC) - result.enqueued_at) < timedelta(seconds=30)
    assert task.get_result(result.id) == result
    with pytest.raises(ValueError, match="Task has not finished yet"):
        _ = result.return_value


def test_refreshing_changes_nothing_as_long_as_nothing_happens(tasks: Any) -> None:
    result = tasks.noop_task.enqueue([1, {"a": None}])
    before = dataclasses.asdict(result)

    result.refresh()

    assert dataclasses.asdict(result) == before


@pytest.mark.parametrize("name", ["noop_task", "noop_task_async"])
def test_a_performed_task_is_successful(perform: Any, tasks: Any, name: str) -> None:
    result = perform(getattr(tasks, name), 1, two=3)

    assert result.status.name == "SUCCESSFUL"
    assert result.is_finished
    assert result.enqueued_at <= result.started_at <= result.finished_at
    assert result.last_attempted_at == result.started_at
    assert (result.return_value, result.attempts, result.worker_ids) == (None, 1, ["testing"])


def test_the_return_value_is_kept(perform: Any, tasks: Any) -> None:
    assert perform(tasks.calculate_meaning_of_life).return_value == 42


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("failing_task_value_error", ValueError),
        ("failing_task_async", ValueError),
        ("failing_task_system_exit", SystemExit),
    ],
)
def test_an_error_is_kept_with_its_class_and_traceback(perform: Any, tasks: Any, name: str, error: type) -> None:
    result = perform(getattr(tasks, name))

    assert result.status.name == "FAILED"
    assert result.is_finished
    assert only(result.errors).exception_class_path == f"builtins.{error.__name__}"
    assert only(result.errors).exception_class is error
    assert only(result.errors).traceback.endswith(f"{error.__name__}: This Task failed due to {error.__name__}\n")
    assert result.attempts == 1
    with pytest.raises(ValueError, match="Task failed"):
        _ = result.return_value


def test_an_exception_of_an_exception_is_kept(perform: Any, tasks: Any) -> None:
    result = perform(tasks.complex_exception)

    assert only(result.errors).exception_class is ValueError
    assert 'ValueError(ValueError("This task failed"))' in result.errors[0].traceback


def test_a_return_value_that_is_not_json_fails_the_task(perform: Any, tasks: Any) -> None:
    result = perform(tasks.complex_return_value)

    assert result.status.name == "FAILED"
    assert only(result.errors).exception_class is TypeError
    assert "Unsupported type" in result.errors[0].traceback


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


def test_a_missing_result_raises_djangos_error(tasks: Any) -> None:
    from jobs.django.framework import TaskResultDoesNotExist, task_backends

    for missing in ("123", "00000000-0000-7000-8000-000000000000", 123):
        with pytest.raises(TaskResultDoesNotExist):
            task_backends["default"].get_result(missing)


def test_a_run_that_is_no_task_is_no_result(performing: Ledger, tasks: Any) -> None:
    from jobs.django.framework import TaskResultDoesNotExist

    class NoTask(jobs.Job):
        def perform(self) -> None: ...

    run_id = NoTask().enqueue().id

    with pytest.raises(TaskResultDoesNotExist):
        tasks.noop_task.get_result(str(run_id))


def test_the_result_of_another_task_does_not_match(tasks: Any) -> None:
    from jobs.django import framework

    result = tasks.noop_task_async.enqueue()

    with pytest.raises(framework.TaskResultMismatch, match="Task does not match"):
        tasks.noop_task.get_result(result.id)


def test_the_context_has_the_result_and_the_attempt(perform: Any, tasks: Any) -> None:
    result = perform(tasks.get_task_id)
    assert result.return_value == result.id

    assert perform(tasks.test_context, 1).status.name == "SUCCESSFUL"


def test_a_retried_task_is_ready_again_and_counts_its_attempts(performing: Ledger, tasks: Any) -> None:
    result = tasks.succeed_on.enqueue(3)

    performing.drain()
    result.refresh()
    assert (result.status.name, result.attempts, len(result.errors)) == ("READY", 1, 1)
    performing.drain(advance=timedelta(minutes=1))
    result.refresh()

    assert result.status.name == "SUCCESSFUL"
    assert result.return_value == [3, ["testing"] * 3, 2]
    assert result.worker_ids == ["testing"] * 3
    assert result.started_at < result.last_attempted_at <= result.finished_at


def test_a_deferred_task_waits_for_its_moment(performing: Ledger, tasks: Any) -> None:
    moment = datetime.now(UTC) + timedelta(hours=1)
    result = tasks.noop_task.using(run_after=moment).enqueue()

    assert tasks.noop_task.get_result(result.id) == result
    performing.drain()
    result.refresh()
    assert result.status.name == "READY"
    performing.drain(advance=timedelta(hours=2))
    result.refresh()
    assert result.status.name == "SUCCESSFUL"


def test_higher_priorities_go_first(performing: Ledger, tasks: Any) -> None:
    given = {priority: tasks.noop_task.using(priority=priority).enqueue().id for priority in (0, -100, 100, 1)}

    done = performing.drain()

    assert [str(one.run.id) for one in done] == [given[100], given[1], given[0], given[-100]]
    assert [one.run.priority for one in done] == [-100, -1, 0, 100]


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


def test_the_signals_are_sent_and_logged(
    performing: Ledger, tasks: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.django.framework import signals

    caplog.set_level(logging.DEBUG, logger=signals.logger.name)
    heard: list[tuple[str, str, int]] = []

    def hear(name: str) -> Any:
        return lambda sender, task_result, **more: heard.append((name, task_result.status.name, task_result.attempts))

    for name in ("task_enqueued", "task_started", "task_finished"):
        receiver = hear(name)
        signal = getattr(signals, name)
        signal.connect(receiver, weak=False)
        monkeypatch.setattr(signal, "receivers", signal.receivers[:])

    tasks.noop_task.enqueue()
    performing.drain()
    assert heard == [("task_enqueued", "READY", 0), ("task_started", "RUNNING", 1), ("task_finished", "SUCCESSFUL", 1)]
    assert [record.message.rpartition(" ")[2] for record in caplog.records] == [
        "backend=default", "state=RUNNING", "state=SUCCESSFUL",
    ]  # fmt: skip

    heard.clear()
    caplog.clear()
    tasks.failing_task_value_error.enqueue()
    performing.drain()
    assert heard[-1] == ("task_finished", "FAILED", 1)
    assert caplog.records[-1].levelno == logging.ERROR
    assert "This Task failed due to ValueError" in caplog.text

    heard.clear()
    tasks.succeed_on.enqueue(3)
    performing.drain(advance=timedelta(minutes=1))
    assert [name for name, *_ in heard] == ["task_enqueued", *["task_started"] * 3, "task_finished"]


def test_a_receiver_that_fails_changes_nothing(perform: Any, tasks: Any) -> None:
    from jobs.django.framework import signals

    def fail(**more: Any) -> None:
        raise RuntimeError("a receiver's")

    for name in ("task_enqueued", "task_started", "task_finished"):
        getattr(signals, name).connect(fail)
    try:
        assert perform(tasks.noop_task).status.name == "SUCCESSFUL"
    finally:
        for name in ("task_enqueued", "task_started", "task_finished"):
            getattr(signals, name).disconnect(fail)


def test_results_without_time_zones_are_local_and_naive(performing: Ledger, tasks: Any) -> None:
    with django_settings(USE_TZ=False):
        moment = datetime.now() + timedelta(minutes=5)
        result = tasks.noop_task.using(run_after=moment).enqueue()

        assert result.enqueued_at.tzinfo is None
        assert tasks.noop_task.get_result(result.id) == result
        assert abs(jobs.find(result.id).run_at.timestamp() - moment.timestamp()) < 3600 * 3


def test_a_cancelled_or_expired_task_has_failed(performing: Ledger, tasks: Any) -> None:
    from jobs.django.task_results import NotPerformed

    result = tasks.noop_task.enqueue()
    jobs.cancel(result.id, reason="not wanted")
    result.refresh()

    assert result.status.name == "FAILED"
    assert only(result.errors).exception_class is NotPerformed
    assert "not wanted" in result.errors[0].traceback


def test_a_task_whose_worker_died_has_failed(performing: Ledger, tasks: Any) -> None:
    from jobs.django.task_job import class_of
    from jobs.django.task_results import WorkerDied

    result = tasks.noop_task.enqueue()
    cls = class_of(result.task.module_path)
    assert cls is not None
    performing.crash(cls)
    performing.drain()
    result.refresh()

    assert result.status.name == "FAILED"
    assert only(result.errors).exception_class is WorkerDied


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


def test_a_task_as_a_job_follows_another(performing: Ledger, tasks: Any) -> None:
    from jobs.django import as_job

    as_job(tasks.noop_task, 1).enqueue(on_success=[as_job(tasks.calculate_meaning_of_life)])

    done = performing.drain()

    assert [one.run.kind.rpartition(".")[2] for one in done] == ["noop_task", "calculate_meaning_of_life"]
    assert done[1].run.result == 42
