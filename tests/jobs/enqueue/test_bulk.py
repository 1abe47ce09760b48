"""Bulk enqueueing: many runs in one transaction, read from an iterator block by block."""

from __future__ import annotations

import gc
from uuid import UUID

import psycopg
import pytest

import jobs
from jobs.client import many
from jobs.database.postgres.driver import CHANNEL
from jobs.enqueue.bulk import MIN_COPY
from jobs.errors import ArgumentsRefused, KeyConflict
from jobs.events import RunEnqueued
from jobs.ledger.queries import find


class Bulk(jobs.Job, kind="bulk.Plain"):
    n: int

    def perform(self) -> None: ...


class BulkKeyed(jobs.Job, kind="bulk.Keyed", unique=jobs.WHILE_LIVE):
    n: int

    def idempotency_key(self) -> str:
        return f"n:{self.n % 10}"

    def perform(self) -> None: ...


def stored(app) -> dict[UUID, int]:
    with app.database.read() as connection:
        return {run.id: run.arguments["n"] for run in find.list_runs(connection, limit=1000)}


@pytest.mark.parametrize("count", [0, 1, MIN_COPY - 1, MIN_COPY, 3 * MIN_COPY + 1])
def test_results_have_the_order_of_the_jobs(app, monkeypatch, count):
    monkeypatch.setattr(many, "BLOCK", MIN_COPY + 7)

    results = jobs.enqueue_many(Bulk(n=n) for n in range(count))

    found = stored(app)
    assert [found[one.id] for one in results] == list(range(count))
    assert all(one.created for one in results)


def test_plain_and_keyed_jobs_may_be_mixed(app):
    given = [BulkKeyed(n=n) if n in (3, 6, 9) else Bulk(n=n) for n in range(30)]
    (first,) = jobs.enqueue_many([BulkKeyed(n=3)])

    results = jobs.enqueue_many(given + [Bulk(n=n) for n in range(MIN_COPY)])

    found = stored(app)
    assert [found[one.id] for one in results] == [*range(30), *range(MIN_COPY)]
    assert [place for place, one in enumerate(results) if not one.created] == [3]
    assert results[3].id == first.id


def test_a_key_conflict_at_the_end_undoes_what_was_copied(app):
    (held,) = jobs.enqueue_many([BulkKeyed(n=3)])

    with pytest.raises(KeyConflict):
        jobs.enqueue_many([*(Bulk(n=n) for n in range(2 * MIN_COPY)), BulkKeyed(n=13)])

    assert stored(app) == {held.id: 3}


def test_an_error_of_the_generator_leaves_nothing(app, monkeypatch):
    monkeypatch.setattr(many, "BLOCK", MIN_COPY)

    def broken():
        yield from (Bulk(n=n) for n in range(3 * MIN_COPY))
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        jobs.enqueue_many(broken())

    assert stored(app) == {}


def test_arguments_refused_in_a_later_block_leave_nothing(app, monkeypatch):
    monkeypatch.setattr(many, "BLOCK", MIN_COPY)

    with pytest.raises(ArgumentsRefused):
        jobs.enqueue_many(Bulk(n=n if n < 3 * MIN_COPY else 2**63) for n in range(4 * MIN_COPY))

    assert stored(app) == {}


def test_a_generator_is_inserted_before_all_of_it_is_made(pg_database, make_app, monkeypatch):
    monkeypatch.setattr("jobs.boot._app", make_app(pg_database))
    monkeypatch.setattr(many, "BLOCK", MIN_COPY)
    alive = []

    def counted():
        for n in range(6 * MIN_COPY):
            if n % MIN_COPY == 0:
                alive.append(sum(type(one) is Bulk for one in gc.get_objects()))
            yield Bulk(n=n)

    assert len(jobs.enqueue_many(counted())) == 6 * MIN_COPY

    assert max(alive) <= 2 * MIN_COPY


def test_every_run_is_announced_once_committed(pg_database, redis_url, make_app, monkeypatch):
    app = make_app(pg_database, redis_url=redis_url, redis_prefix="bulk")
    monkeypatch.setattr("jobs.boot._app", app)
    heard: list[RunEnqueued] = []
    app.events.subscribe(RunEnqueued, heard.extend)

    results = jobs.enqueue_many([Bulk(n=n) for n in range(2 * MIN_COPY)])

    assert [one.run_id for one in heard] == [one.id for one in results]
    assert len(app.ready.peek(["default"], 500, skip=0).runs) == 2 * MIN_COPY


def test_idle_workers_are_woken_by_the_commit(pg_database, make_app, monkeypatch):
    app = make_app(pg_database)
    monkeypatch.setattr("jobs.boot._app", app)
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute(f"listen {CHANNEL}")

        jobs.enqueue_many([Bulk(n=n) for n in range(2 * MIN_COPY)])

        assert len(list(connection.notifies(timeout=60, stop_after=1))) == 1
