"""Test cases with a ledger in Django's test database, never in the one of development.

    class OrderTests(LedgerTestCase):
        def test_an_order_is_charged(self):
            place(order_id=7)

            self.ledger.drain(advance=timedelta(hours=1))

            self.assertTrue(Order.objects.get(pk=7).is_charged)

``self.ledger`` is a ``jobs.testing.Ledger``: it performs tasks, jobs and actors in the test's thread, plans failures,
and has a clock to advance. With ``immediate = True`` each task is performed as soon as it is enqueued.

Every statement of the ledger runs on Django's connection. So ``LedgerTestCase`` rolls it back with the test, and
``LedgerTransactionTestCase``, whose transactions commit, deletes what the test has left.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from asgiref.sync import async_to_sync
from django.db import connections
from django.test import TestCase, TransactionTestCase

from jobs.django import config, ledger
from jobs.errors import ConfigurationError
from jobs.events import RunEnqueued
from jobs.ledger.delete_everything import delete_everything
from jobs.settings import Settings
from jobs.testing import Ledger


class LedgerMixin:
    """For test cases of other libraries: put it before their class."""

    immediate = False
    """Whether a run is performed as soon as it is enqueued, and not by ``self.ledger.drain()``."""
    commits = False
    """Whether the transactions of the tests commit, as in a ``TransactionTestCase``."""
    ledger: Ledger

    def run(self, result: Any = None) -> Any:
        """Run the test within a ledger of its own. Django has opened the transaction of a ``TestCase`` before."""
        with ledger_under_test(immediate=self.immediate, commits=self.commits) as self.ledger:
            return super().run(result)  # type: ignore[misc]


class LedgerTestCase(LedgerMixin, TestCase):
    """A ``TestCase``: each test is one transaction, which is rolled back."""


class LedgerTransactionTestCase(LedgerMixin, TransactionTestCase):
    """A ``TransactionTestCase``: transactions commit, and tasks are announced after the commit."""

    commits = True


@contextmanager
def ledger_under_test(*, immediate: bool = False, commits: bool = False) -> Iterator[Ledger]:
    """A ledger on Django's connection, which is the current one inside the block.

    Args:
        immediate: perform each run as soon as it is enqueued: with ``commits``, after the commit.
        commits: the transactions of the test commit; then everything in the ledger is deleted before and after.

    Raises:
        ConfigurationError: Django's database is not a test database.
    """
    refuse_other_than_test(config.alias())

    def make_app(clock: Any) -> Any:
        settings = Settings.of(database_url=config.database_url(), **config.own_settings())
        return ledger.borrowed_app(settings, config.alias(), clock=clock, commits=commits)

    with Ledger(make_app=make_app, run_coroutine=lambda perform: async_to_sync(perform)()) as made:
        if commits:
            _empty(made)
        if immediate:
            made.app.events.subscribe(RunEnqueued, lambda batch: _perform(made))
        try:
            yield made
        finally:
            if commits:
                _empty(made)


def refuse_other_than_test(alias: str) -> None:
    """Refuse a database that Django has not made for tests.

    Raises:
        ConfigurationError: its name is not that of a test database.
    """
    if config.is_test_database():
        return
    name = connections[alias].settings_dict["NAME"]
    raise ConfigurationError(
        f"Tests would use the ledger in {name!r}, which is not a test database.",
        hint="Run them by manage.py test or pytest-django, which make one.",
    )


def _perform(made: Ledger) -> None:
    made.drain()


def _empty(made: Ledger) -> None:
    with made.app.database.write() as connection:
        delete_everything(connection)
