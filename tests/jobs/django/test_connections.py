"""Django's connections around every run: none is dead, and none is too old."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

import jobs
from jobs.testing import Ledger


@pytest.fixture
def project_url(django_postgresql: str, pg_server: Any) -> str:
    return django_postgresql


class OfJob(jobs.Job):
    def perform(self) -> Any:
        from tests.django_project.shop import tasks

        return tasks.server_process.func()


class OfCoroutine(jobs.Job):
    async def perform(self) -> Any:
        from asgiref.sync import sync_to_async

        from tests.django_project.shop import tasks

        return await sync_to_async(tasks.server_process.func)()


def kill(process: int, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        assert connection.execute("select pg_terminate_backend(%s, 5000)", [process]).fetchone() == (True,)


@pytest.mark.parametrize("kind", ["task", "job", "coroutine"])
def test_a_connection_that_the_server_closed_between_runs_fails_no_run(
    project: str, performing: Ledger, kind: str
) -> None:
    from django.db import connection

    from tests.django_project.shop import tasks

    def enqueue() -> None:
        made: dict[str, Callable[[], Any]] = {
            "task": tasks.server_process.enqueue,
            "job": OfJob().enqueue,
            "coroutine": OfCoroutine().enqueue,
        }
        made[kind]()

    def perform() -> int:
        (done,) = performing.drain()
        assert done.error is None, done.error
        return int(done.run.result)

    enqueue()
    first = perform()
    enqueue()
    assert perform() == first, "a live connection is kept, as CONN_MAX_AGE says"
    enqueue()
    kill(first, project)

    assert perform() != first
    assert not connection.in_atomic_block


def test_a_connection_that_is_too_old_is_closed_after_the_run(project: str, performing: Ledger) -> None:
    from django.db import connection

    from tests.django_project.shop import tasks

    connection.close()
    connection.settings_dict["CONN_MAX_AGE"] = 0
    tasks.server_process.enqueue()

    performing.drain()

    assert connection.connection is None
