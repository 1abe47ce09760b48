"""Django's transactions: ``session="django:default"`` and ``django.db.connection``."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap

import pytest

from jobs import Job
from jobs.errors import EnqueueRefused
from tests.jobs.database.transactions.test_joining import orders


class Sold(Job):
    order: int = 0

    def perform(self) -> None: ...


@pytest.fixture
def alias(app, ledger_url):
    """A connection of Django's to the ledger's database: the rest of its ``session=``."""
    import django
    from django.db import connections

    # A process sets Django up once: the same project as in tests/jobs/django.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.django_project.settings")
    django.setup()
    if ledger_url.startswith("sqlite"):
        entry = {"ENGINE": "django.db.backends.sqlite3", "NAME": ledger_url.removeprefix("sqlite:///")}
    else:
        url = app.database.url
        entry = {"ENGINE": "django.db.backends.postgresql", "NAME": url.database, "USER": url.username or ""}
        entry |= {"HOST": url.host or url.query.get("host", ""), "PORT": url.port or "", "PASSWORD": url.password or ""}
    name = f"ledger{id(app)}"
    connections.databases[name] = connections.configure_settings({"default": {}, name: entry})[name]
    yield name
    connections[name].close()
    del connections.databases[name]
    delattr(connections._connections, name)


def test_a_run_exists_when_and_only_when_atomic_commits(app, alias):
    from django.db import connections, transaction

    given = f"django:{alias}"
    with transaction.atomic(using=alias):
        Sold(order=1).enqueue(session=given)
        Sold(order=2).enqueue(session=connections[alias], key="k", on_success=[Sold(order=3)])
        assert orders(app) == []
    assert orders(app) == [1, 2]

    with transaction.atomic(using=alias):
        Sold(order=4).enqueue(session=given)
        transaction.set_rollback(True, using=alias)
    assert orders(app) == [1, 2]

    with transaction.atomic(using=alias):
        Sold(order=5).enqueue(session=given)
        with transaction.atomic(using=alias):
            Sold(order=6).enqueue(session=given, key="other")
            transaction.set_rollback(True, using=alias)
    assert orders(app) == [1, 2, 5]


def test_a_process_that_dies_in_atomic_leaves_no_run(app, alias):
    from django.db import Error, connections, transaction

    @transaction.atomic(using=alias)
    def die() -> None:
        Sold(order=1).enqueue(session=f"django:{alias}")
        connections[alias].connection.close()

    with pytest.raises(Error):
        die()
    connections[alias].close()

    assert orders(app) == []


def test_outside_atomic_the_run_exists_at_once_as_a_row_of_django_s_does(app, alias):
    Sold(order=1).enqueue(session=f"django:{alias}", key="k")

    assert orders(app) == [1]


def test_a_key_conflict_leaves_the_atomic_block_usable(app, alias):
    from django.db import connections, transaction

    Sold(order=1).enqueue(key="k")
    with transaction.atomic(using=alias):
        with pytest.raises(EnqueueRefused, match="held by run"):
            Sold(order=2).enqueue(session=f"django:{alias}", key="k")
        with connections[alias].cursor() as cursor:
            cursor.execute("select 1")
        Sold(order=3).enqueue(session=f"django:{alias}")

    assert orders(app) == [1, 3]


def test_runs_are_announced_after_the_commit_alone(app, alias, monkeypatch):
    from django.db import transaction

    told = []
    monkeypatch.setattr(
        "jobs.enqueue.write_path.announce_runs", lambda app, runs: told.append((len(runs), orders(app)))
    )
    with transaction.atomic(using=alias):
        Sold(order=1).enqueue(session=f"django:{alias}")
        assert told == []
    with transaction.atomic(using=alias):
        Sold(order=2).enqueue(session=f"django:{alias}")
        transaction.set_rollback(True, using=alias)

    assert told == [(1, [1])]


def test_coroutines_use_the_connection_of_django_s_own_thread(app, alias):
    asyncio.run(Sold(order=1).enqueue_async(session=f"django:{alias}"))

    assert orders(app) == [1]


def test_a_failed_block_is_refused(app, alias):
    from django.db import transaction

    with transaction.atomic(using=alias):
        transaction.set_rollback(True, using=alias)
        with pytest.raises(EnqueueRefused, match="has failed"):
            Sold().enqueue(session=f"django:{alias}")

    assert orders(app) == []


def test_an_integrity_error_inside_atomic_leaves_no_run_behind(app, alias):
    from django.db import IntegrityError, connections, transaction

    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute("create table paid (n int primary key)")
        cursor.execute("insert into paid values (1)")

    def pay_twice(order):
        with transaction.atomic(using=alias):
            Sold(order=order).enqueue(session=f"django:{alias}", key="k")
            connection.cursor().execute("insert into paid values (1)")

    with pytest.raises(IntegrityError):
        pay_twice(1)
    with transaction.atomic(using=alias, durable=True):
        Sold(order=2).enqueue(session=f"django:{alias}")
        with pytest.raises(IntegrityError):
            pay_twice(3)
        with transaction.atomic(using=alias, savepoint=False):
            Sold(order=4).enqueue(session=f"django:{alias}", key="k")
    assert orders(app) == [2, 4]

    if connection.vendor == "postgresql":
        with transaction.atomic(using=alias):
            with pytest.raises(IntegrityError):
                connection.cursor().execute("insert into paid values (1)")
            with pytest.raises(EnqueueRefused, match="has failed"):
                Sold(order=5).enqueue(session=f"django:{alias}")
            transaction.set_rollback(True, using=alias)
        assert orders(app) == [2, 4]


def test_a_serialization_failure_is_django_s_own_error(app, alias):
    from django.db import OperationalError, connections, transaction

    connection = connections[alias]
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer")
    with transaction.atomic(using=alias):
        with connection.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read")
            cursor.execute("select count(*) from job_runs")
        Sold(order=1).enqueue(key="k")
        with pytest.raises(OperationalError, match="could not serialize"):
            Sold(order=2).enqueue(session=f"django:{alias}", key="k")
        transaction.set_rollback(True, using=alias)

    assert orders(app) == [1]


def test_a_block_of_another_alias_does_not_count(app, alias):
    """The run goes to the alias that ``session=`` names, and exists at once."""
    from django.db import transaction

    with transaction.atomic(using="default"):
        Sold(order=1).enqueue(session=f"django:{alias}")
        assert orders(app) == [1]
        transaction.set_rollback(True, using="default")
    with transaction.atomic(using=alias), transaction.atomic(using="default"):
        Sold(order=2).enqueue(session=f"django:{alias}")
        transaction.set_rollback(True, using="default")

    assert orders(app) == [1, 2]


def test_with_autocommit_switched_off_the_commit_is_the_application_s(app, alias):
    from django.db import transaction

    transaction.set_autocommit(False, using=alias)
    Sold(order=1).enqueue(session=f"django:{alias}", key="k")
    transaction.rollback(using=alias)
    Sold(order=2).enqueue(session=f"django:{alias}", key="k")
    assert orders(app) == []
    transaction.commit(using=alias)
    transaction.set_autocommit(True, using=alias)

    assert orders(app) == [2]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("django:nowhere", "no connection 'nowhere'"),
        ("default", "got 'default'"),
        ("django:default", "another database"),
    ],
)
def test_a_connection_to_another_database_is_refused_with_a_message(app, alias, given, why):
    with pytest.raises(EnqueueRefused, match=why) as caught:
        Sold().enqueue(session=given)

    assert caught.value.hint
    assert orders(app) == []


def test_django_without_settings_is_refused_in_words(sqlite_url):
    code = """
        import jobs
        from jobs.errors import EnqueueRefused

        class Sold(jobs.Job):
            def perform(self): ...

        try:
            Sold().enqueue(session="django:default")
        except EnqueueRefused as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={"JOBS_DATABASE_URL": sqlite_url},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert "DJANGO_SETTINGS_MODULE" in done.stdout, done.stderr
