"""Blocks in a transaction of the application, ``cancel(session=…)``, dramatiq actors, and ``announce``."""

from __future__ import annotations

import asyncio
import weakref
from contextlib import closing

import dramatiq
import psycopg
import pytest
from dramatiq import group
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits.backends import StubBackend
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import jobs
import jobs.client.many
from jobs import Job, RunState
from jobs.errors import EnqueueRefused, NotFound
from jobs.events import RunEnqueued
from tests.jobs.database.transactions.kinds import begins_itself, sqlalchemy_url
from tests.jobs.dramatiq.conftest import broker as broker


class BlockMail(Job):
    to: str = "ann"

    def perform(self) -> None: ...


def count(app, table="job_runs") -> int:
    with app.database.read() as connection:
        found: int = connection.exec_driver_sql(f"select count(*) from {table}").scalar()
        return found


def engine_for(app):
    return begins_itself(create_engine(app.database.url))


@pytest.fixture
def session(app):
    engine = engine_for(app)
    with Session(engine) as made:
        yield made
    engine.dispose()


def test_a_run_that_a_block_enqueues_belongs_to_the_transaction_of_the_block(app, session):
    with jobs.transaction(session):
        BlockMail().enqueue()
        jobs.enqueue_many([BlockMail(), BlockMail()])
        BlockMail().enqueue(key="k")
    session.rollback()
    assert count(app) == 0

    with jobs.transaction(session):
        first = BlockMail().enqueue()
        session.commit()
    BlockMail().enqueue()
    assert count(app) == 2

    with jobs.transaction(session):
        assert jobs.cancel(first.id) is RunState.CANCELLED
    session.rollback()
    assert jobs.find(first.id).state is RunState.QUEUED


def test_a_block_with_an_async_session_serves_the_async_calls(app, ledger_url):
    async def use() -> None:
        driver = {"postgresql": "psycopg", "sqlite": "aiosqlite"}[app.database.dialect]
        engine = create_async_engine(sqlalchemy_url(ledger_url, driver))
        async with AsyncSession(engine) as session:
            with jobs.transaction(session):
                await BlockMail().enqueue_async()
                await jobs.enqueue_many_async([BlockMail()])
                with pytest.raises(EnqueueRefused, match="takes a SQLAlchemy Session"):
                    BlockMail().enqueue()
            await session.rollback()
            assert count(app) == 0
            run = await BlockMail().enqueue_async(session=session)
            await session.commit()
            await jobs.cancel_async(run.id, session=session)
            await session.rollback()
            assert jobs.find(run.id).state is RunState.QUEUED
            await jobs.cancel_async(run.id, session=session)
            await session.commit()
            assert jobs.find(run.id).state is RunState.CANCELLED
        await engine.dispose()

    asyncio.run(use())


def test_many_jobs_in_an_async_session_are_read_block_by_block(app, ledger_url, monkeypatch):
    monkeypatch.setattr(jobs.client.many, "BLOCK", 10)
    made: list[weakref.ref[BlockMail]] = []
    alive: list[int] = []

    def many():
        for n in range(100):
            alive.append(sum(one() is not None for one in made))
            job = BlockMail(to=str(n))
            made.append(weakref.ref(job))
            yield job

    async def use() -> None:
        driver = {"postgresql": "psycopg", "sqlite": "aiosqlite"}[app.database.dialect]
        engine = create_async_engine(sqlalchemy_url(ledger_url, driver))
        async with AsyncSession(engine) as session:
            assert len(await jobs.enqueue_many_async(many(), session=session)) == 100
            await session.commit()
        await engine.dispose()

    asyncio.run(use())

    assert count(app) == 100
    assert max(alive) < 40


@pytest.mark.parametrize("given", [0, "", "default", object()])
def test_a_connection_without_a_transaction_is_refused_and_not_ignored(app, given):
    for call in (BlockMail().enqueue, lambda session: jobs.cancel(jobs.clock.new_run_id(), session=session)):
        with pytest.raises(EnqueueRefused, match="takes a SQLAlchemy Session"):
            call(session=given)
    with pytest.raises(EnqueueRefused), jobs.transaction(given):
        BlockMail().enqueue()

    assert count(app) == 0


def test_actors_are_sent_in_the_transaction_of_the_application(broker):
    broker.add_middleware(GroupCallbacks(StubBackend()))

    @dramatiq.actor(queue_name="mail")
    def deliver(to: str) -> None: ...

    app, engine = broker.app, engine_for(broker.app)
    with Session(engine) as session:
        message = deliver.send_with_options(args=("ann",), session=session)
        deliver.send_with_options(args=("bob",), session=session, delay=1000, key="k")
        assert "session" not in message.options
        assert count(app) == 0
        session.rollback()
        assert count(app) == 0
        deliver.send_with_options(args=("ann",), session=session)
        session.commit()
        assert count(app) == 1

        with broker.transaction(session):
            deliver.send("bob")
            both = group([deliver.message("cid"), deliver.message("dan")])
            both.add_completion_callback(deliver.message("all"))
            both.run()
        session.rollback()
        assert (count(app), count(app, "job_groups")) == (1, 0)
        deliver.send_with_options(args=("eve",), session=None)
    engine.dispose()

    assert count(app) == 2
    with app.database.read() as connection:
        stored = connection.exec_driver_sql("select arguments from job_runs").scalars().all()
    assert "session" not in str(stored)


def test_runs_of_a_driver_s_connection_are_announced_on_request(make_app, pg_database, redis_url, monkeypatch):
    app = make_app(pg_database, redis_url=redis_url)
    monkeypatch.setattr(jobs.boot, "_app", app)
    events = []
    app.events.subscribe(RunEnqueued, events.extend)
    with closing(psycopg.connect(pg_database)) as connection:
        lost = BlockMail().enqueue(session=connection)
        connection.rollback()
        made = jobs.enqueue_many([BlockMail(), BlockMail()], session=connection)
        connection.commit()
    assert app.ready.take(["default"], 10, wait_seconds=0).runs == ()

    assert jobs.announce([lost, *made]) == 2

    assert {one for one, _ in app.ready.take(["default"], 10, wait_seconds=0).runs} == {one.id for one in made}
    assert {one.run_id for one in events} == {one.id for one in made}
    with pytest.raises(NotFound, match="not a run id"):
        jobs.announce(["x"])
