"""Statement warm-up: leaves nothing behind except compiled statements."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.engine.interfaces import CacheStats

from jobs import Job, Limit
from jobs.app import App
from jobs.clock import new_run_id
from jobs.database.models import JobWorker
from jobs.definition.class_release import codes, release_of
from jobs.definition.limits import limited_kinds
from jobs.definition.published import published_kind, published_kinds
from jobs.formats.installed import installed_version
from jobs.ledger.limits import counts, rates, reassign
from jobs.ledger.published_kinds import publish_kinds
from jobs.ledger.queries.waiting import overdue
from jobs.ledger.releases import record_release
from jobs.ledger.runs import claim as claiming
from jobs.ledger.runs import settle
from jobs.ledger.runs.claim import claim
from jobs.ledger.runs.sweep import expire
from jobs.ledger.workers import register
from jobs.settings import Settings
from tests.conftest import MakeApp
from tests.server_process import free_port
from worker.startup import statement_warmup
from worker.startup.statement_warmup import warm_up, warmed_up


class PublishedBeforeForks(Job):
    number: int

    def perform(self) -> None: ...


@pytest.fixture(autouse=True)
def _restore(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    monkeypatch.setattr(statement_warmup, "_warmed_up", None)
    yield
    root.handlers[:] = before
    root.setLevel(level)


def _sockets_and_locks() -> set[str]:
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            continue  # The listing's own.
    return {one for one in found if one.startswith("socket:") or ".db" in one}


def test_the_warm_up_leaves_no_row_no_thread_and_no_connection(app: App) -> None:
    app.close()
    threads, opened = threading.enumerate(), _sockets_and_locks()

    warm_up(app.settings.model_dump_json())

    assert set(threading.enumerate()) <= set(threads)
    assert _sockets_and_locks() <= opened
    database = warmed_up(app.settings)
    assert database is not None
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(JobWorker)) == 0
    database.close()


def test_statements_of_the_warm_up_are_not_compiled_again(app: App) -> None:
    warm_up(app.settings.model_dump_json())
    database = warmed_up(app.settings)
    assert database is not None
    hits: list[CacheStats] = []

    def note(connection: object, cursor: object, statement: str, values: object, context: Any, many: bool) -> None:
        hits.append(context.cache_hit)

    event.listen(database.engine, "after_cursor_execute", note)
    with database.write() as connection:
        if database.dialect == "sqlite":
            claim(connection, [new_run_id()], kinds=["A", "B"], worker="somebody", lease=timedelta(seconds=5))
        expire(connection)
        register(
            connection, "somebody", host="h", pid=1, version="1", queues=["q"], kinds=["A"], codes=codes(), threads=1,
            chaos=None, process="a/1",
        )  # fmt: skip
        record_release(connection, "somebody", release="2026-11", kinds={"A": ("1:a:b", 600.0)})
        publish_kinds(connection, published_kinds(1_000))
    with database.read() as connection:
        overdue(connection, after=timedelta(seconds=5), limit=1000)

    assert [hit for hit in hits if hit is not CacheStats.NO_DIALECT_SUPPORT]
    assert CacheStats.CACHE_MISS not in hits
    database.close()


def test_direct_statements_of_the_warm_up_are_not_compiled_again(
    pg_database: str, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(pg_database)
    monkeypatch.setattr(claiming._CLAIM_QUEUES, "_rendered", {})
    warm_up(app.settings.model_dump_json())
    database = warmed_up(app.settings)
    assert database is not None
    monkeypatch.setattr(claiming._CLAIM_QUEUES, "_build", None)

    with database.direct() as direct:
        given: dict[str, Any] = {"kinds": ["A", "B"], "worker": "somebody", "lease": timedelta(seconds=5)}
        assert claiming.claim_due_direct(direct, ["mail", "calls"], count=3, **given) == []

    database.close()


def test_statements_of_limits_are_warmed_up_where_a_kind_has_limits(
    pg_database: str, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(pg_database)
    monkeypatch.setitem(limited_kinds, "WarmedUp", (Limit(1, name="WarmedUp"),))
    statements = (counts._COUNT, rates._LOOK, reassign._EXCHANGE, settle._SETTLE_LIMITED)
    for one in statements:
        monkeypatch.setattr(one, "_rendered", {})
        monkeypatch.setattr(one, "_built", {})

    warm_up(app.settings.model_dump_json())

    assert all(one._rendered or one._built for one in statements)
    database = warmed_up(app.settings)
    assert database is not None
    database.close()


def test_the_version_and_what_is_published_of_classes_are_read_before_the_forks(app: App) -> None:
    caches = (installed_version, release_of, published_kind)
    for cache in caches:
        cache.cache_clear()

    warm_up(app.settings.model_dump_json())

    read = [cache.cache_info().misses for cache in caches]
    installed_version()
    codes()
    published_kinds(app.settings.max_argument_bytes)
    assert [cache.cache_info().misses for cache in caches] == read


def test_a_process_with_another_configuration_uses_no_warm_up(app: App) -> None:
    warm_up(app.settings.model_dump_json())

    assert warmed_up(app.settings.model_copy(update={"threads": 3})) is None


@pytest.mark.parametrize("url", ["postgresql://app:s3cret@127.0.0.1:{port}/x", "sqlite:///{folder}/no/such.db", None])
def test_a_ledger_that_does_not_answer_is_left_to_the_processes(url: str | None, tmp_path: Path) -> None:
    settings = Settings(database_url=url and url.format(port=free_port(), folder=tmp_path))

    warm_up(settings.model_dump_json())

    assert warmed_up(settings) is None
