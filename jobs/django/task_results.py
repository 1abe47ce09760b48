"""Runs of the ledger as Django's ``TaskResult``: status, moments, errors with importable paths, workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils import timezone

from jobs.django.framework import Task, TaskError, TaskResult, TaskResultStatus
from jobs.states import RunState

if TYPE_CHECKING:
    from jobs.ledger.run_records import AttemptRecord, RunRecord

STATUS = {
    RunState.QUEUED: TaskResultStatus.READY,
    RunState.RUNNING: TaskResultStatus.RUNNING,
    RunState.SUCCEEDED: TaskResultStatus.SUCCESSFUL,
    RunState.DEAD: TaskResultStatus.FAILED,
    RunState.CANCELLED: TaskResultStatus.FAILED,
}
"""Each state of a run as Django says it. A run that waits for its next attempt is ready again."""

_ERROR_CLASSES = {
    "ProcessDied": "jobs.django.task_results.WorkerDied",
    "ChildNotStarted": "jobs.django.task_results.WorkerDied",
    "TimeLimitExceeded": "jobs.errors.TimeLimitExceeded",
}
"""Classes for failures that the ledger recorded without an exception."""
AT_ONCE = timedelta(milliseconds=1)
"""A run that is due so close to its enqueue was not deferred: SQLite reads its clock once for each column."""
NOT_PERFORMED = "jobs.django.task_results.NotPerformed"


class WorkerDied(Exception):
    """The process that performed the task died: killed, out of memory, crashed."""


class NotPerformed(Exception):
    """The task ended without an error of its own: cancelled, expired, or no worker knows it."""


def fresh(task: Any, run_id: str, args: Any, kwargs: Any, *, backend: str) -> Any:
    """The result of a task that is being enqueued, with its arguments normalised.

    Raises:
        TypeError: Django's own error, for arguments that are not JSON.
    """
    return TaskResult(
        task=task,
        id=run_id,
        status=TaskResultStatus.READY,
        enqueued_at=None,
        started_at=None,
        finished_at=None,
        last_attempted_at=None,
        args=args,
        kwargs=kwargs,
        backend=backend,
        errors=[],
        worker_ids=[],
    )


def result_of(task: Any, run: RunRecord, attempts: Sequence[AttemptRecord], *, backend: str) -> Any:
    """The result of a run, with its attempts, as it is now."""
    tried = [one for one in attempts if one.attempt <= run.attempt]
    is_running = run.state is RunState.RUNNING
    workers = [one.worker or "" for one in tried]
    if is_running and len(workers) < run.attempt:
        workers.append(run.worker or "")
    arguments = run.arguments if isinstance(run.arguments, dict) else {}
    last = run.started_at if is_running else tried[-1].started_at if tried else None
    result = TaskResult(
        task=_as_enqueued(task, run),
        id=str(run.id),
        status=STATUS[run.state],
        enqueued_at=moment(run.created_at),
        started_at=moment(tried[0].started_at if tried else run.started_at if is_running else None),
        # The end of an attempt is computed from its duration, and may be milliseconds off.
        finished_at=moment(max(run.finished_at, last) if run.finished_at and last else run.finished_at),
        last_attempted_at=moment(last),
        args=arguments.get("args", []),
        kwargs=arguments.get("kwargs", {}),
        backend=backend,
        errors=[*map(error_of, (one for one in tried if one.error_type)), *_end(run, tried)],
        worker_ids=workers,
    )
    set_value(result, run.result)
    return result


def set_enqueued(result: Any, enqueued_at: datetime) -> None:
    """Set when the task was enqueued, which the ledger says."""
    object.__setattr__(result, "enqueued_at", moment(enqueued_at))


def set_value(result: Any, value: Any) -> None:
    """Set the return value: the class has no other way."""
    object.__setattr__(result, "_return_value", value)


def error_path(name: str | None) -> str:
    """The importable path of an error class, from the name that the ledger stores."""
    if not name:
        return NOT_PERFORMED
    return _ERROR_CLASSES.get(name) or (name if "." in name else f"builtins.{name}")


def moment(stored: datetime | None) -> datetime | None:
    """A moment as Django has it: aware with USE_TZ, else local and naive."""
    return stored if stored is None or settings.USE_TZ else timezone.make_naive(stored)


def as_moment(given: datetime) -> datetime:
    """A moment that Django accepted, aware: without USE_TZ a naive one is in Django's time zone."""
    return given if timezone.is_aware(given) else timezone.make_aware(given)


def _as_enqueued(task: Any, run: RunRecord) -> Any:
    """The task with the priority, queue and moment of this run, as far as the task's backend allows them."""
    # A run on hold has no moment of its own to show: what it waits for decides.
    is_deferred = run.attempt == 0 and run.hold is None and abs(run.run_at - run.created_at) > AT_ONCE
    queues = task.get_backend().queues
    return replace(
        task,
        priority=min(max(-run.priority, -100), 100),
        queue_name=run.queue if not queues or run.queue in queues else task.queue_name,
        run_after=moment(run.run_at) if is_deferred else None,
    )


def error_of(one: AttemptRecord) -> Any:
    text = one.traceback or f"{one.error_type}: {one.error_message or ''}\n"
    return TaskError(exception_class_path=error_path(one.error_type), traceback=text)


def _end(run: RunRecord, tried: Sequence[AttemptRecord]) -> list[Any]:
    """An error for a run that ended without one in its last attempt: cancelled, expired, unknown to every worker."""
    if STATUS[run.state] is not TaskResultStatus.FAILED or (tried and tried[-1].error_type):
        return []
    why = run.cancel_reason if run.state is RunState.CANCELLED else run.error_message
    text = ": ".join(part for part in (run.state.value, run.cause.value if run.cause else None, why) if part)
    return [TaskError(exception_class_path=NOT_PERFORMED, traceback=f"NotPerformed: {text}\n")]


__all__ = ["NotPerformed", "Task", "WorkerDied", "fresh", "result_of"]
