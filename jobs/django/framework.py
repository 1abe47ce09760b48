"""Names of Django's tasks framework: ``django.tasks`` of Django 6, or the ``django-tasks`` backport before it."""

from __future__ import annotations

try:
    from django.tasks import base, signals, task_backends
    from django.tasks.backends.base import BaseTaskBackend
    from django.tasks.exceptions import InvalidTask, TaskResultDoesNotExist, TaskResultMismatch
    from django.utils.json import normalize_json
except ImportError:
    try:
        # Checks are registered by their import; Django 6 imports its own.
        from django_tasks import base, checks, signals, task_backends  # noqa: F401
        from django_tasks.backends.base import BaseTaskBackend
        from django_tasks.exceptions import InvalidTaskError as InvalidTask
        from django_tasks.exceptions import TaskResultDoesNotExist, TaskResultMismatch
        from django_tasks.utils import normalize_json
    except ImportError as error:
        raise ImportError(
            "Django before 6.0 has no tasks: install the backport, pip install django-tasks.", name=error.name
        ) from error

Task, TaskContext, TaskError, TaskResult = base.Task, base.TaskContext, base.TaskError, base.TaskResult
TaskResultStatus, task = base.TaskResultStatus, base.task

__all__ = [
    "BaseTaskBackend",
    "InvalidTask",
    "Task",
    "TaskContext",
    "TaskError",
    "TaskResult",
    "TaskResultDoesNotExist",
    "TaskResultMismatch",
    "TaskResultStatus",
    "normalize_json",
    "signals",
    "task",
    "task_backends",
]
