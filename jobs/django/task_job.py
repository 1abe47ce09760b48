"""Tasks of Django as jobs of the ledger: the class that a worker performs, made once for each task."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.module_loading import import_string
from pydantic.fields import Field

from jobs.client.job import Job
from jobs.definition import registry
from jobs.definition.arguments import check_json
from jobs.definition.options import MAX_KIND, check_name
from jobs.django import task_signals
from jobs.django.framework import Task, normalize_json
from jobs.django.options import OF_AN_ENQUEUE, key_of_arguments, options_of
from jobs.errors import DefinitionError


class TaskJob(Job):
    """Base class of the jobs that represent tasks. Its arguments are those of the call, normalised to JSON."""

    args: list[Any] = Field(default_factory=list)
    kwargs: dict[str, Any] = Field(default_factory=dict)
    _task: ClassVar[Any] = None
    _declared: ClassVar[dict[str, Any]] = {}
    _given: ClassVar[dict[str, Any]] = {}
    """The options of the task that belong to each enqueue."""

    def _write_own(self, max_bytes: int) -> str:
        return write_call(self.options.kind, self.args, self.kwargs, max_bytes=max_bytes)

    def idempotency_key(self) -> str | None:
        key = self._given.get("key")
        if key is not None:
            found: str | None = key(*self.args, **self.kwargs)
            return found
        if self.options.unique is None:
            return None
        return key_of_arguments(json.dumps([self.args, self.kwargs], sort_keys=True))


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def write_call(kind: str, args: list[Any], kwargs: dict[str, Any], *, max_bytes: int) -> str:
    """The arguments of a call, normalised already, as the ledger stores them.

    Raises:
        ArgumentsRefused: JSON that the ledger cannot hold.
    """
    text = _encode({"args": args, "kwargs": kwargs})
    check_json(text, what=f"Arguments of {kind}", max_bytes=max_bytes)
    return text


def job_class(task: Any, options: Mapping[str, Any]) -> type[TaskJob]:
    """The job class of a task, made and registered at the first call for its function.

    Args:
        options: OPTIONS of the task's backend.

    Raises:
        DefinitionError: its path cannot be a kind, it has an invalid option, or a job has its name.
    """
    path = task.module_path
    known = registry.find(path)
    declared = options_of(task.func, path, options)
    if (
        known is not None
        and issubclass(known, TaskJob)
        and known._task.func is task.func
        and known._declared == declared
        and known._task.takes_context == task.takes_context
    ):
        found: type[TaskJob] = known
        return found
    return _make(task, path, declared)


def class_of(path: str) -> type[TaskJob] | None:
    """The job class of the task at ``path``; imports its module if need be. None if no such task exists."""
    found = registry.find(path)
    if found is None:
        try:
            made = import_string(path)
        except ImportError:
            return None
        found = registry.find(path) if isinstance(made, Task) else None
    return found if found is not None and issubclass(found, TaskJob) else None


def as_job(task: Any, *args: Any, **kwargs: Any) -> Job:
    """A call of a task as a job: for schedules, follow-ups (``on_success=``) and ``enqueue_many``.

    >>> schedules = [Cron("0 3 * * *", job=as_job(clean_up, days=30), name="clean up")]

    Raises:
        DefinitionError: the task's backend is not the ledger.
        TypeError: Django's own error, for arguments that are not JSON.
    """
    cls = class_of(task.module_path)
    if cls is None or cls._task.func is not task.func:
        raise DefinitionError(
            f"{task.module_path} is not a task of the ledger.",
            hint="Its backend is jobs.django.LedgerBackend.",
        )
    return cls(args=normalize_json(list(args)), kwargs=normalize_json(kwargs))


def _make(task: Any, path: str, declared: dict[str, Any]) -> type[TaskJob]:
    function = task.func
    if function.__module__ == "__main__":
        raise DefinitionError(f"{path} is in a script, which no worker can import.", hint="Move it to a module.")
    check_name(path, what="kind", longest=MAX_KIND)
    is_async = inspect.iscoroutinefunction(function)
    body = {
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "__doc__": function.__doc__,
        "_task": task,
        "_declared": declared,
        "_given": {name: declared[name] for name in OF_AN_ENQUEUE & declared.keys()},
        "perform": _perform_async if is_async else _perform,
    }
    keywords = {name: value for name, value in declared.items() if name not in OF_AN_ENQUEUE}
    meta: Any = type(Job)
    made: type[TaskJob] = meta(
        function.__name__, (TaskJob,), body, kind=path, queue=task.queue_name, priority=-task.priority, **keywords
    )
    return made


def _perform(self: TaskJob) -> Any:
    with task_signals.around(self) as call:
        return call.returned(self._task.func(*call.args, **self.kwargs))


async def _perform_async(self: TaskJob) -> Any:
    async with task_signals.around_async(self) as call:
        return call.returned(await self._task.func(*call.args, **self.kwargs))
