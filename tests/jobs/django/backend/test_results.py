"""Results of tasks: what they hold at each moment, and what a missing or foreign one raises."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import jobs
from jobs.testing import Ledger
from tests.jobs.django.backend.asking import django_settings
from tests.jobs.django.conftest import only


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
