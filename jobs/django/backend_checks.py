"""System checks: the database can hold the ledger, is the ledger's, and is migrated; OPTIONS are valid."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.core import checks
from django.db import connections

from jobs.database.database_url import is_same_url, parse_database_url
from jobs.definition.options import Options, derive
from jobs.django import config, ledger
from jobs.django.options import OF_AN_ENQUEUE, read_options
from jobs.errors import DefinitionError, JobsError
from jobs.migration import schema
from jobs.settings import Settings


def check_backend(backend: Any) -> list[checks.CheckMessage]:
    """Faults that can be seen without a connection."""
    if not apps.is_installed("jobs.django"):
        return [
            checks.Error(
                f"TASKS[{backend.alias!r}] is jobs.django.LedgerBackend, and 'jobs.django' is not in INSTALLED_APPS.",
                hint="Add it: it migrates the ledger's tables and closes old connections in workers.",
                id="jobs.E001",
            )
        ]
    return [*_check_database(), *_check_options(backend)]


def check_migrated(
    app_configs: Any = None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """For ``manage.py check --database``, and ``migrate`` itself: whether the tables have this release's revision."""
    if not databases or config.alias() not in databases or config.database_url() is None:
        return []
    try:
        with ledger.current().database.read() as connection:
            found = schema.revision_of(connection, Settings.read().database_schema)
    except JobsError as error:
        return [checks.Warning(f"The ledger cannot be read: {error.message}", hint=error.hint, id="jobs.W002")]
    # ``migrate`` runs the checks first, and then makes the tables.
    if found == schema.REVISION or (found is None and sys.argv[1:2] == ["migrate"]):
        return []
    return [
        checks.Warning(
            f"The ledger's tables are at revision {found}, and this release has {schema.REVISION}."
            if found
            else "The ledger has no tables yet.",
            hint=f"Migrate them: manage.py migrate --database {config.alias()}.",
            id="jobs.W001",
        )
    ]


def _check_database() -> list[checks.CheckMessage]:
    try:
        settings = Settings.read()
        url = config.database_url()
    except JobsError as error:
        return [checks.Error(error.message, hint=error.hint, id="jobs.E002")]
    if url is None:
        vendor = connections[config.alias()].vendor
        return [
            checks.Error(
                f"The ledger's database {config.alias()!r} is {vendor}, which cannot hold a ledger.",
                hint="Name one on PostgreSQL or SQLite: JOBS = {'DATABASE': alias}.",
                id="jobs.E003",
            )
        ]
    if config.is_in_memory() or settings.database_url is None:
        return []
    if is_same_url(parse_database_url(settings.database_url), parse_database_url(url)):
        return []
    return [
        checks.Warning(
            f"JOBS_DATABASE_URL and DATABASES[{config.alias()!r}] have different words for their databases.",
            hint="They must be one database, or enqueueing is refused. Unset JOBS_DATABASE_URL to use Django's.",
            id="jobs.W003",
        )
    ]


def _check_options(backend: Any) -> list[checks.CheckMessage]:
    found: list[checks.CheckMessage] = []
    given = dict(backend.options)
    by_path = given.pop("tasks", {})
    named = {f"TASKS[{backend.alias!r}]['OPTIONS']": given}
    if isinstance(by_path, dict):
        named |= {f"TASKS[{backend.alias!r}]['OPTIONS']['tasks'][{path!r}]": one for path, one in by_path.items()}
    else:
        named[f"TASKS[{backend.alias!r}]['OPTIONS']['tasks']"] = by_path
    for where, options in named.items():
        try:
            read = read_options(options, where=where)
            of_class = {name: value for name, value in read.items() if name not in OF_AN_ENQUEUE}
            derive(Options(), of_class, name="checked", place=where)
        except DefinitionError as error:
            found.append(checks.Error(error.message, hint=error.hint, id="jobs.E004"))
    return found
