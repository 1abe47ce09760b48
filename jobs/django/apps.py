"""The Django application ``jobs.django``: derives the ledger from Django's settings, and finds tasks and jobs."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.core.signals import setting_changed
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    """Sets the ledger up in each process of a project."""

    name = "jobs.django"
    label = "jobledger"
    verbose_name = "Background jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from jobs.django import backend_checks, config, ledger, migrating, run_connections
        from jobs.runtime.run_hooks import run_hooks

        config.provide()
        run_hooks.add(run_connections.fresh_connections, for_async=run_connections.fresh_connections_async)
        checks.register(backend_checks.check_migrated, checks.Tags.database)
        post_migrate.connect(migrating.migrate_ledger, sender=self, dispatch_uid="jobs.migrate")
        connection_created.connect(_follow_renamed_database, dispatch_uid="jobs.follow")
        setting_changed.connect(ledger.forget, dispatch_uid="jobs.forget")
        with suppress(ImportError):  # Jobs need no tasks framework.
            import_module("jobs.django.framework")
        autodiscover_modules("tasks", "jobs")


def _follow_renamed_database(connection: Any, **kwargs: Any) -> None:
    from jobs.django import config, ledger

    if connection.alias == config.alias():
        ledger.follow_renamed_database()
