"""The pytest plugin: a ledger for each test that asks for one. Active wherever jobledger is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jobs.testing import Ledger


def pytest_configure() -> None:
    from jobs import under_test

    under_test.is_pytest = True


@pytest.fixture
def jobs_database_url() -> str | None:
    """Override it to test on an existing ledger (an empty PostgreSQL database, say); None uses a SQLite file."""
    return None


@pytest.fixture
def jobs_ledger(jobs_database_url: str | None) -> Iterator[Ledger]:
    """An empty ledger, which is the current one during the test, whatever the environment says.

    See ``jobs.testing.Ledger``.
    """
    from jobs.testing import Ledger

    with Ledger(jobs_database_url) as ledger:
        yield ledger
