"""Sends Django's signals around the attempt of a task, and gives the task its context.

``task_started`` is sent at the beginning of each attempt, and ``task_finished`` when the task has succeeded or failed
for good: not after an attempt that will be tried again. Both are sent where the task is performed, before the ledger
records the end. A receiver that fails is logged, and changes nothing.
"""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.utils import timezone

from jobs.client.lookup import attempts as attempts_of_run
from jobs.django import task_results
from jobs.django.framework import TaskContext, TaskError, TaskResult, TaskResultStatus, normalize_json, signals
from jobs.errors import Cancel, Cancelled, GiveUp, RetryAfter, Snooze
from jobs.runtime.suspended import Suspended

if TYPE_CHECKING:
    from jobs.runtime.run import Run


class Call:
    """One attempt of a task: its result so far, and the positional arguments with the context."""

    def __init__(self, job: Any) -> None:
        self._job = job
        self._value: Any = None
        self.result = _running(job)
        self.args = list(job.args)
        if job._task.takes_context:
            self.args.insert(0, TaskContext(task_result=self.result))

    def returned(self, value: Any) -> Any:
        """The value as Django stores it. Raises TypeError if it is not JSON, as Django does."""
        self._value = normalize_json(value)
        return self._value

    def succeed(self) -> None:
        task_results.set_value(self.result, self._value)
        self._end(TaskResultStatus.SUCCESSFUL)

    def fail(self, error: BaseException) -> bool:
        """Whether the task has failed for good; then the result says so."""
        if not _is_last(self._job, error):
            return False
        path = f"{type(error).__module__}.{type(error).__qualname__}"
        text = "".join(traceback.format_exception(error))
        self.result.errors.append(TaskError(exception_class_path=path, traceback=text))
        self._end(TaskResultStatus.FAILED)
        return True

    def _end(self, status: Any) -> None:
        object.__setattr__(self.result, "finished_at", timezone.now())
        object.__setattr__(self.result, "status", status)


@contextmanager
def around(job: Any) -> Iterator[Call]:
    """The signals around a plain task, in the thread that performs it."""
    call, sender = Call(job), type(job._task.get_backend())
    signals.task_started.send_robust(sender=sender, task_result=call.result)
    try:
        yield call
    except BaseException as error:
        # Inside the handler: Django's own receiver logs the exception that is being handled.
        if call.fail(error):
            signals.task_finished.send_robust(sender=sender, task_result=call.result)
        raise
    call.succeed()
    signals.task_finished.send_robust(sender=sender, task_result=call.result)


@asynccontextmanager
async def around_async(job: Any) -> AsyncIterator[Call]:
    """The same for a task that is a coroutine; plain receivers run in Django's own thread."""
    call, sender = await sync_to_async(Call)(job), type(job._task.get_backend())
    await signals.task_started.asend_robust(sender=sender, task_result=call.result)
    try:
        yield call
    except BaseException as error:
        if call.fail(error):
            await signals.task_finished.asend_robust(sender=sender, task_result=call.result)
        raise
    call.succeed()
    await signals.task_finished.asend_robust(sender=sender, task_result=call.result)


def _running(job: Any) -> Any:
    run = job.run
    # The first attempt, which most tasks have only, needs no query.
    earlier = [one for one in attempts_of_run(run.id) if one.attempt < run.attempt] if run.attempt > 1 else []
    started = task_results.moment(run.started_at)
    return TaskResult(
        task=job._task,
        id=str(run.id),
        status=TaskResultStatus.RUNNING,
        enqueued_at=task_results.moment(run.created_at),
        started_at=task_results.moment(earlier[0].started_at) if earlier else started,
        finished_at=None,
        last_attempted_at=started,
        args=job.args,
        kwargs=job.kwargs,
        backend=job._task.backend,
        errors=[task_results.error_of(one) for one in earlier if one.error_type],
        worker_ids=[*(one.worker or "" for one in earlier), *[run.worker or ""] * (run.attempt - len(earlier))],
    )


def _is_last(job: Any, error: BaseException) -> bool:
    """Whether the ledger will try no more after this error."""
    run: Run = job.run
    if isinstance(error, Snooze | Suspended):
        return False
    if isinstance(error, GiveUp | Cancel | Cancelled):
        return True
    charged = run.charged + 1
    if isinstance(error, RetryAfter):
        return charged >= run.max_attempts
    raised = error if isinstance(error, Exception) else None
    return job.options.retry.delay(charged, error=raised, age=run.age, rng=run.app.clock.rng) is None
