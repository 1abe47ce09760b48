"""A task exists when, and only when, Django's block commits; and it is always in Django's own database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import jobs
from jobs import boot
from jobs.database.engine import Database
from jobs.errors import EnqueueRefused, LedgerMissing, NotFound
from jobs.testing import Ledger


@pytest.fixture
def tasks(project: str) -> Any:
    from tests.django_project.shop import tasks

    return tasks


def exists(result: Any) -> bool:
    """Whether another connection sees the run."""
    try:
        jobs.find(result.id)
    except NotFound:
        return False
    return True


@pytest.mark.parametrize("name", ["charge", "charge_once"])
def test_a_task_exists_once_its_block_has_committed(tasks: Any, name: str) -> None:
    from django.db import transaction

    with transaction.atomic():
        result = getattr(tasks, name).enqueue(7)
        assert not exists(result)
        result.refresh()
        assert result.status.name == "READY"

    assert exists(result)


@pytest.mark.parametrize("name", ["charge", "charge_once"])
def test_a_rolled_back_block_leaves_no_task(tasks: Any, name: str) -> None:
    from django.db import transaction

    with transaction.atomic():
        lost = getattr(tasks, name).enqueue(7)
        transaction.set_rollback(True)
    with transaction.atomic():
        with transaction.atomic():
            also_lost = getattr(tasks, name).enqueue(8)
            transaction.set_rollback(True)
        kept = getattr(tasks, name).enqueue(9)

    assert [exists(one) for one in (lost, also_lost, kept)] == [False, False, True]


def test_without_a_block_a_task_exists_at_once(tasks: Any) -> None:
    assert exists(tasks.charge.enqueue(7))
    assert exists(tasks.charge_once.enqueue(7))


def test_a_broken_block_is_refused_as_django_does(tasks: Any) -> None:
    from django.db import DatabaseError, connection, transaction

    with transaction.atomic():
        with pytest.raises(DatabaseError), transaction.atomic(savepoint=False):
            connection.cursor().execute("select * from nowhere")
        for task in (tasks.charge, tasks.charge_once):
            with pytest.raises(transaction.TransactionManagementError, match="until the end of the 'atomic' block"):
                task.enqueue(7)

    assert tasks.charge.enqueue(7).status.name == "READY"


def test_the_statement_counts_among_djangos_queries(tasks: Any) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        tasks.charge.enqueue(7)

    wanted = 'SELECT "jobs_insert_run"(' if connection.vendor == "postgresql" else "INSERT INTO job_runs "
    assert [one["sql"][: len(wanted)] for one in queries] == [wanted]


def test_only_committed_tasks_are_published(tasks: Any, performing: Ledger) -> None:
    from django.db import transaction

    from jobs.events import RunEnqueued

    heard: list[str] = []
    performing.app.events.subscribe(RunEnqueued, lambda batch: heard.extend(str(one.run_id) for one in batch))
    with transaction.atomic():
        tasks.charge.enqueue(6)
        transaction.set_rollback(True)
    with transaction.atomic():
        kept = tasks.charge.enqueue(7)
        assert heard == []

    assert heard == [kept.id]


def test_another_ledger_than_djangos_database_is_refused(tasks: Any, sqlite_url: str) -> None:
    with Ledger(sqlite_url), pytest.raises(EnqueueRefused, match="Django's connection is on"):
        tasks.charge.enqueue(7)


def test_a_database_without_our_tables_says_how_to_make_them(
    use_database: Callable[[str], None], tmp_path: Path
) -> None:
    from tests.django_project.shop import tasks

    use_database(f"sqlite:///{tmp_path / 'empty.db'}")

    for task in (tasks.charge, tasks.charge_once):
        with pytest.raises(LedgerMissing, match=r"manage\.py migrate --database default"):
            task.enqueue(7)


def test_the_ledger_is_where_djangos_database_is(tasks: Any, project: str) -> None:
    app = boot.current()

    assert Database(project, app.settings).url == app.database.url
    assert app.settings.imports == ("jobs.django.worker",)


def test_the_ledger_follows_django_to_its_test_database(
    tasks: Any, project: str, use_database: Callable[[str], None], sqlite_url: str
) -> None:
    first = tasks.charge.enqueue(7)

    use_database(sqlite_url)
    second = tasks.charge.enqueue(7)

    assert not exists(first)
    assert exists(second)
    assert boot.current().settings.database_url == sqlite_url


def test_a_setting_wins_over_django_only_in_the_environment(
    use_database: Callable[[str], None], project_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.test import override_settings

    from jobs.settings import Settings, origins

    use_database(project_url)
    with override_settings(JOBS={"THREADS": 3, "IMPORTS": "shop.more", "LEASE": "40s"}):
        assert (Settings.read().threads, Settings.read().imports) == (3, ("jobs.django.worker", "shop.more"))
        assert origins({})["threads"] == "Django's settings"
        monkeypatch.setenv("JOBS_THREADS", "5")
        assert Settings.read().threads == 5
    with override_settings(JOBS={"TREADS": 3}), pytest.raises(jobs.JobsError, match="Did you mean 'THREADS'"):
        Settings.read()
    with override_settings(JOBS={"DATABASE": "other"}), pytest.raises(jobs.JobsError, match="is not in DATABASES"):
        Settings.read()


@pytest.fixture
def other(project: str, tmp_path: Path) -> Any:
    """A second alias of the project, to which its router sends every model."""
    from django.db import connections
    from django.test import override_settings

    entry = {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{tmp_path}/other.db"}
    connections.databases["other"] = connections.configure_settings({"default": {}, "other": entry})["other"]

    class Router:
        def db_for_write(self, model: Any, **hints: Any) -> str:
            return "other"

    with override_settings(DATABASE_ROUTERS=[Router()]):
        yield "other"
    connections["other"].close()
    del connections.databases["other"]
    delattr(connections._connections, "other")


@pytest.mark.parametrize("name", ["charge", "charge_once"])
def test_a_block_of_another_alias_does_not_count_whatever_the_router_says(tasks: Any, other: str, name: str) -> None:
    from django.db import transaction

    with transaction.atomic(using=other):
        result = getattr(tasks, name).enqueue(7)
        assert exists(result)
        transaction.set_rollback(True, using=other)
    with transaction.atomic(using=other), transaction.atomic():
        lost = getattr(tasks, name).enqueue(8)
        transaction.set_rollback(True)

    assert [exists(result), exists(lost)] == [True, False]


@pytest.mark.parametrize("name", ["charge", "charge_once"])
def test_a_request_of_atomic_requests_that_fails_leaves_no_task(tasks: Any, name: str) -> None:
    from django.core.handlers.base import BaseHandler
    from django.db import connections, transaction

    def view(request: Any, order: int) -> Any:
        result = getattr(tasks, name).enqueue(order)
        found.append(result)
        assert not exists(result)
        if order == 8:
            raise ValueError("sold out")

    found: list[Any] = []
    settings = connections["default"].settings_dict
    before, settings["ATOMIC_REQUESTS"] = settings["ATOMIC_REQUESTS"], True
    try:
        atomic = BaseHandler().make_view_atomic(view)
    finally:
        settings["ATOMIC_REQUESTS"] = before
    atomic(None, 7)
    with pytest.raises(ValueError, match="sold out"):
        atomic(None, 8)
    with transaction.atomic(durable=True):
        durable = getattr(tasks, name).enqueue(9)

    assert [exists(one) for one in (*found, durable)] == [True, False, True]
