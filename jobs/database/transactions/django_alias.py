"""Joins the transaction of a Django connection: ``session="django:default"``.

Inside ``atomic()`` the run exists when, and only when, the outermost block commits. Outside it Django commits each
statement at once, and so is the run. Django's own ``on_commit`` tells of the commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from jobs.database.engine import Database
from jobs.database.transactions import drivers
from jobs.database.transactions.commit_hooks import Joined, Notify, never
from jobs.database.transactions.refusals import TAKEN, driver_errors, explained, refused_database, refused_failed
from jobs.errors import EnqueueRefused
from jobs.formats.shown import shown

PREFIX = "django:"


def alias_of(given: Any) -> str | None:
    """The alias that ``django:ALIAS``, or a Django connection itself, names; None for everything else.

    Raises:
        EnqueueRefused: it is another text.
    """
    if isinstance(given, str):
        if not given.startswith(PREFIX) or given == PREFIX:
            raise EnqueueRefused(f"session= takes a SQLAlchemy Session, got {shown(given)}.", hint=TAKEN)
        return given.removeprefix(PREFIX)
    # ``django.db.connection`` stands for the connection of this thread; both have an alias.
    is_django = any(one.__module__.startswith("django.") for one in type(given).__mro__)
    return str(given.alias) if is_django and hasattr(given, "alias") else None


@contextmanager
def joined_alias(alias: str, database: Database) -> Iterator[Joined]:
    """The transaction of this thread's Django connection; outside ``atomic()``, one of its own that commits.

    Raises:
        EnqueueRefused: Django or the alias is not configured, the transaction has failed, or it is on another database.
    """
    from django.db import transaction

    connection = _connection(alias)
    with ExitStack() as stack:
        manages = connection.in_atomic_block or connection.get_autocommit()
        if manages and not connection.in_atomic_block:
            stack.enter_context(transaction.atomic(using=alias))
        if connection.needs_rollback:
            raise refused_failed()
        connection.ensure_connection()
        if not drivers.is_driver_connection(connection.connection):
            raise _refused_driver(connection, database)
        with explained(database):
            plain = drivers.joined_driver(connection.connection, database)

        def after_commit(items: Sequence[Any], notify: Notify) -> None:
            transaction.on_commit(lambda: notify(list(items)), using=alias)

        # Django calls nothing after a commit that the application makes with autocommit switched off.
        stack.enter_context(connection.wrap_database_errors)
        stack.enter_context(driver_errors())
        yield Joined(plain, after_commit if manages else never)


def _connection(alias: str) -> Any:
    from django.core.exceptions import ImproperlyConfigured
    from django.db import connections
    from django.utils.connection import ConnectionDoesNotExist

    try:
        return connections[alias]
    except ConnectionDoesNotExist as error:
        known = ", ".join(sorted(connections.settings))
        raise EnqueueRefused(
            f"Django has no connection {shown(alias)}.", hint=f"DATABASES of its settings has: {known}."
        ) from error
    except ImproperlyConfigured as error:
        raise EnqueueRefused(
            f"Django's settings cannot be used: {str(error).splitlines()[0]}",
            hint="Set DJANGO_SETTINGS_MODULE, or call django.setup().",
        ) from error


def _refused_driver(connection: Any, database: Database) -> EnqueueRefused:
    if connection.vendor != database.dialect:
        return refused_database(f"{connection.vendor}: {connection.settings_dict.get('NAME')}", database, "connection")
    return EnqueueRefused(
        f"Django uses {type(connection.connection).__module__.split('.')[0]}, and the ledger needs psycopg 3.",
        hint="pip install 'psycopg[binary]', and Django uses it.",
    )
