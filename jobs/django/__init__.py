"""Django: a tasks backend on the ledger, the ledger's URL from DATABASES, manage.py commands, and test support.

    INSTALLED_APPS = [..., "jobs.django"]
    TASKS = {"default": {"BACKEND": "jobs.django.LedgerBackend"}}

Works with ``django.tasks`` of Django 6, and with the ``django-tasks`` backport on Django 5.2. Needs the extra
``django``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.django.backend import LedgerBackend
    from jobs.django.options import task_options
    from jobs.django.task_job import as_job

_HOMES = {"LedgerBackend": "backend", "as_job": "task_job", "task_options": "options"}

__all__ = ["LedgerBackend", "as_job", "task_options"]


def __getattr__(name: str) -> Any:
    # Loaded at first use: Django imports this package before its applications are ready.
    if name not in _HOMES:
        raise AttributeError(f"module 'jobs.django' has no attribute {name!r}")
    value = getattr(import_module(f"jobs.django.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
