"""The ledger of this Django project: the App of this process, and its database over Django's own connection.

Tests rename Django's databases while the process runs. The ledger follows: it is always in the database that Django's
connection is on now, and never in the one of development.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connections

from jobs import boot
from jobs.app import App
from jobs.clock import SystemClock
from jobs.database.database_url import is_same_url
from jobs.database.transactions.borrowed import BorrowedDatabase
from jobs.django import config
from jobs.django.connection import DjangoConnection
from jobs.errors import ConfigurationError, EnqueueRefused
from jobs.settings import Settings


@dataclass(frozen=True, slots=True)
class DjangoLedger:
    """``app`` settles, publishes and emits; ``database`` runs statements on Django's connection."""

    app: App
    database: BorrowedDatabase
    alias: str
    place: tuple[Any, ...]

    @property
    def is_under_test(self) -> bool:
        """Whether a test has replaced the App of this process."""
        return boot.in_place_of_all() is self.app


_current: DjangoLedger | None = None


def current() -> DjangoLedger:
    """The ledger in the database that Django's connection is on now.

    Raises:
        EnqueueRefused: JOBS_DATABASE_URL names another database.
        ConfigurationError: the database cannot hold a ledger.
    """
    global _current
    found = _current
    if found is None or found.app is not boot.existing() or found.place != _place(found.alias):
        alias = config.alias()
        found = _current = _make(alias, _place(alias))
    return found


def forget(**changed: Any) -> None:
    """Django's settings have changed, in a test: look them up again."""
    global _current
    if changed.get("setting") in ("JOBS", "DATABASES"):
        _current = None


def follow_renamed_database() -> None:
    """Django's database has another name now (a test's): let the App of this process use it too."""
    app = boot.existing()
    if app is not None and boot.in_place_of_all() is None and config.has_moved(app.settings.database_url):
        current()


def borrowed_app(settings: Settings, alias: str, *, clock: Any = None, commits: bool = True) -> App:
    """An App whose every statement runs on Django's connection, for tests."""
    clock = clock or SystemClock()
    return boot.build(settings, clock=clock, database=_borrowed(settings, alias, clock, commits=commits))


def _make(alias: str, place: tuple[Any, ...]) -> DjangoLedger:
    app = boot.in_place_of_all()
    if app is not None and isinstance(app.database, BorrowedDatabase):
        return DjangoLedger(app, app.database, alias, place)
    if app is None:
        app = _app(alias)
    if isinstance(app.database, BorrowedDatabase):
        return DjangoLedger(app, app.database, alias, place)
    database = _borrowed(app.settings, alias, app.clock)
    _refuse_other(app, database)
    return DjangoLedger(app, database, alias, place)


def _app(alias: str) -> App:
    """The App of this process; a new one if Django's database has another name than when it was made."""
    if config.is_in_memory() or config.is_test_database():
        # No connections of our own: they would see nothing of a test's transaction, and Django could not drop it.
        return boot.configure(borrowed_app(Settings.read(), alias))
    app = boot.existing()
    if app is not None and config.has_moved(app.settings.database_url):
        return boot.configure()
    return boot.current()


def _borrowed(settings: Settings, alias: str, clock: Any, *, commits: bool = True) -> BorrowedDatabase:
    url = config.database_url()
    if url is None:
        vendor = connections[alias].vendor
        raise ConfigurationError(
            f"The database {alias!r} is {vendor}, which cannot hold a ledger.",
            hint="Name one on PostgreSQL or SQLite: JOBS = {'DATABASE': alias}.",
        )
    return BorrowedDatabase(url, settings, clock, owner=DjangoConnection(alias), commits=commits)


def _refuse_other(app: App, database: BorrowedDatabase) -> None:
    if is_same_url(app.database.url, database.url):
        return
    if app.database.dialect == database.dialect == "postgresql":
        # One server has many names.
        with database.read() as connection:
            if app.database.is_same_server(connection):
                return
    raise EnqueueRefused(
        f"The ledger is in {app.database.shown}, and Django's connection is on {database.shown}.",
        hint="Unset JOBS_DATABASE_URL, so that the ledger is in Django's database.",
    )


def _place(alias: str) -> tuple[Any, ...]:
    said = connections[alias].settings_dict
    return alias, said["NAME"], said["HOST"], said["PORT"]
