"""Migrates the ledger's tables beside Django's: by ``manage.py migrate``, and when Django makes a test database."""

from __future__ import annotations

from typing import Any

from jobs import boot
from jobs.clock import SystemClock
from jobs.database.engine import Database
from jobs.django import config, ledger
from jobs.migration import schema
from jobs.settings import Settings


def migrate_ledger(using: str, verbosity: int = 1, **kwargs: Any) -> None:
    """After ``migrate`` of the ledger's database: migrate the ledger's tables to this release's revision.

    Raises:
        LedgerBusy: others held a lock, or migrated, for too long.
    """
    if using != config.alias() or config.database_url() is None:
        return
    if config.is_in_memory():
        found = _migrate(ledger.current().database)
    else:
        # A database of its own, closed at once: Django may be about to copy or drop this one.
        database = boot.open_database(Settings.read(), SystemClock())
        try:
            found = _migrate(database)
        finally:
            database.close()
    if found != schema.REVISION and verbosity >= 1:
        print(f"  Migrated the ledger's tables from {found or 'nothing'} to {schema.REVISION}.")  # noqa: T201


def _migrate(database: Database) -> str | None:
    """Migrate, if need be; returns the revision before."""
    found = schema.current(database)
    if found != schema.REVISION:
        schema.upgrade(database)
    return found
