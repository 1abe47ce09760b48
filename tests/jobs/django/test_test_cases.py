"""Test support: a ledger in Django's test database, drained or immediate, and never the one of development."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import jobs
from jobs.django.test import ledger_under_test
from jobs.errors import ConfigurationError
from tests.jobs.django.conftest import ROOT, environment

TESTS = """
from datetime import timedelta

import jobs
from django.db import transaction
from django.test import TestCase
from jobs.django.test import LedgerTestCase, LedgerTransactionTestCase
from tests.django_project.shop import tasks
from tests.django_project.shop.models import Order


class Plain(jobs.Job):
    def perform(self):
        Order.objects.create(item="from a job")


class Drained(LedgerTestCase):
    def test_tasks_and_jobs_are_performed_in_the_transaction_of_the_test(self):
        order = Order.objects.create(item="book")
        result = tasks.charge.enqueue(order.pk)
        Plain().enqueue()

        self.ledger.drain()

        result.refresh()
        order.refresh_from_db()
        self.assertEqual((result.status, order.is_charged, Order.objects.count()), ("SUCCESSFUL", True, 2))

    def test_the_test_before_left_nothing(self):
        self.assertEqual((Order.objects.count(), self.ledger.runs()), (0, []))

    def test_time_is_the_tests(self):
        result = tasks.succeed_on.enqueue(3)
        self.ledger.drain(advance=timedelta(hours=1))
        result.refresh()
        self.assertEqual((result.status, result.attempts), ("SUCCESSFUL", 3))

    def test_a_rolled_back_block_leaves_no_task(self):
        with transaction.atomic():
            tasks.charge.enqueue(1)
            transaction.set_rollback(True)
        self.assertEqual(self.ledger.drain(), [])

    def test_a_coroutine_sees_the_transaction(self):
        Order.objects.create(item="book")
        result = tasks.count_orders_async.enqueue()
        self.ledger.drain()
        result.refresh()
        self.assertEqual((result.status, result.errors), ("SUCCESSFUL", []))


class Immediate(LedgerTestCase):
    immediate = True

    def test_a_task_is_performed_when_it_is_enqueued(self):
        order = Order.objects.create(item="book")
        self.assertEqual(tasks.charge.enqueue(order.pk).return_value, order.pk)
        self.assertEqual(tasks.failing_task_value_error.enqueue().status, "FAILED")
        order.refresh_from_db()
        self.assertTrue(order.is_charged)


class Committing(LedgerTransactionTestCase):
    immediate = True

    def test_a_task_is_performed_after_the_commit(self):
        order = Order.objects.create(item="book")
        with transaction.atomic():
            result = tasks.charge.enqueue(order.pk)
            self.assertEqual(result.status, "READY")
        with transaction.atomic():
            tasks.charge.enqueue(1000)
            transaction.set_rollback(True)
        result.refresh()
        self.assertEqual((result.status, len(self.ledger.runs())), ("SUCCESSFUL", 1))

    def test_the_test_before_left_nothing(self):
        self.assertEqual(self.ledger.runs(), [])


class WithoutALedger(TestCase):
    def test_a_task_is_recorded_in_the_test_database(self):
        result = tasks.charge.enqueue(1)
        result.refresh()
        self.assertEqual(result.status, "READY")
"""


@pytest.mark.slow
def test_the_test_cases_of_a_project(project: str, tmp_path: Path) -> None:
    from tests.django_project.shop import tasks

    of_development = tasks.charge.enqueue(7)
    folder = tmp_path / "project_tests"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "tests.py").write_text(TESTS)

    done = subprocess.run(
        [sys.executable, "-m", "django", "test", "project_tests", "--noinput"],
        env={**environment(project), "PYTHONPATH": f"{ROOT}:{tmp_path}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert done.returncode == 0, done.stderr
    assert "Ran 9 tests" in done.stderr
    assert jobs.find(of_development.id).state is jobs.RunState.QUEUED


def test_the_ledger_of_development_is_refused(use_database: Callable[[str], None], sqlite_url: str) -> None:
    use_database(sqlite_url)

    with pytest.raises(ConfigurationError, match="which is not a test database"), ledger_under_test():
        pass
