"""Migrates the ledger's tables beside Django's: by ``manage.py migrate``, and when Django makes a test database."""

from __future__ import annotations

from typing import Any

from jobs.django import config, ledger
from jobs.migration import schema


def migrate_ledger(using: str, verbosity: int = 1, **kwargs: Any) -> None:
    """After ``migrate`` of the ledger's database: migrate the ledger's tables to this release's revision.

    Raises:
        LedgerBusy: others held a lock, or migrated, for too long.
    """
    if using != config.alias() or config.database_url() is None:
        return
    database = ledger.current().app.database
    found = schema.current(database)
    if found == schema.REVISION:
        return
    schema.upgrade(database)
    if verbosity >= 1:
        print(f"  Migrated the ledger's tables from {found or 'nothing'} to {schema.REVISION}.")  # noqa: T201
