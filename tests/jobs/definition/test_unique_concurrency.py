"""Keys under concurrent enqueues, in transactions of applications, and in replays; on both dialects."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from uuid import UUID

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

import jobs
from jobs import Job, KeyConflict, RunState
from jobs.app import App
from jobs.ledger.runs import replay
from jobs.testing import Ledger
from tests.jobs.definition.keyed_jobs import Hourly, Plain, Sync, Welcome
from tests.waiting import wait_until


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url, lock_timeout="2s") as ledger:
        yield ledger


@contextmanager
def own_session(app: App) -> Iterator[Session]:
    """A session as an application makes it: its own engine, nothing of ours set."""
    engine = create_engine(app.database.url)
    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.mark.parametrize("cls", [Sync, Hourly, Welcome])
def test_fifty_concurrent_enqueuers_make_one_run(ledger: Ledger, cls: Callable[..., Job]) -> None:
    start = threading.Barrier(50)

    def enqueue(place: int) -> jobs.Enqueued:
        start.wait(60)
        return cls(account=7).enqueue()

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(enqueue, range(50)))

    assert sum(one.created for one in answers) == 1
    assert len({one.id for one in answers}) == 1
    assert len(ledger.runs()) == 1


def test_fifty_concurrent_batches_with_the_same_keys_in_any_order_make_one_run_a_key(ledger: Ledger) -> None:
    start = threading.Barrier(50)

    def enqueue(place: int) -> list[jobs.Enqueued]:
        many: list[Job] = [Sync(account=n % 20) for n in range(place, place + 20)]
        many += [Hourly(account=n % 20) for n in range(place, place + 20)]
        start.wait(60)
        return jobs.enqueue_many(many[:: 1 if place % 2 else -1])

    with ThreadPoolExecutor(50) as pool:
        answers = [one for many in pool.map(enqueue, range(50)) for one in many]

    assert sum(one.created for one in answers) == 40
    assert len({one.id for one in answers}) == 40
    assert len(ledger.runs()) == 40


def test_a_conflict_leaves_the_callers_transaction_usable(ledger: Ledger) -> None:
    Sync(account=1, amount=1).enqueue()
    with own_session(ledger.app) as session:
        before = Plain(n=1).enqueue(session=session)
        with pytest.raises(KeyConflict):
            Sync(account=1, amount=2).enqueue(session=session)
        after = Sync(account=2).enqueue(session=session)
        session.commit()

    assert {run.id for run in ledger.runs()} >= {before.id, after.id}


def test_a_key_enqueued_in_a_transaction_that_rolls_back_is_free(ledger: Ledger) -> None:
    for cls in (Sync, Hourly, Welcome):
        with own_session(ledger.app) as session:
            assert cls(account=1).enqueue(session=session).created
            session.rollback()

    assert ledger.runs() == []
    assert all(cls(account=1).enqueue().created for cls in (Sync, Hourly, Welcome))


def test_a_second_enqueue_waits_for_the_commit_of_the_first(ledger: Ledger) -> None:
    with own_session(ledger.app) as session, ThreadPoolExecutor(1) as pool:
        first = Sync(account=1).enqueue(session=session)
        second = pool.submit(Sync(account=1).enqueue)
        assert not wait_until(second.done, seconds=0.2)
        session.commit()

        assert second.result(60) == jobs.Enqueued(first.id, created=False)


def test_an_enqueue_that_waits_too_long_gets_an_error(ledger: Ledger) -> None:
    with ExitStack() as stack:
        session = stack.enter_context(own_session(ledger.app))
        Sync(account=1).enqueue(session=session)

        with pytest.raises(jobs.ServiceDown) as caught:
            Sync(account=1).enqueue()

        session.rollback()
    expected = "key_busy" if ledger.app.database.dialect == "postgresql" else "ledger_busy"
    assert caught.value.code == expected


def test_a_wait_for_a_key_in_a_callers_transaction_has_a_limit_and_leaves_it_usable(ledger: Ledger) -> None:
    if ledger.app.database.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time: the caller would wait to begin")
    with own_session(ledger.app) as first, own_session(ledger.app) as second:
        Sync(account=1).enqueue(session=first)
        Plain(n=1).enqueue(session=second)
        second.execute(text("set local lock_timeout = '77s'"))

        with pytest.raises(jobs.KeyBusy):
            Sync(account=1).enqueue(session=second)

        Sync(account=2).enqueue(session=second)
        assert second.scalar(text("show lock_timeout")) == "77s"
        second.commit()
        first.rollback()
    assert len(ledger.runs()) == 2


def test_replay_takes_the_key_again(ledger: Ledger) -> None:
    ledger.fail(Sync, jobs.GiveUp("no"))
    first = Sync(account=1).enqueue()
    ledger.drain()

    assert reopen(ledger, first.id) == [first.id]
    assert Sync(account=1).enqueue().id == first.id


def test_replay_leaves_a_run_whose_key_a_live_run_holds(ledger: Ledger) -> None:
    ledger.fail(Sync, jobs.GiveUp("no"), times=2)
    dead = Sync(account=1).enqueue()
    other = Sync(account=2).enqueue()
    ledger.drain()
    Sync(account=1).enqueue()

    assert reopen(ledger, dead.id, other.id) == [other.id]
    assert jobs.find(dead.id).state is RunState.DEAD


def test_of_two_dead_runs_with_one_key_replay_takes_the_later(ledger: Ledger) -> None:
    ledger.fail(Sync, jobs.GiveUp("no"), times=2)
    first = Sync(account=1).enqueue()
    ledger.drain()
    second = Sync(account=1).enqueue()
    ledger.drain()

    assert reopen(ledger, first.id, second.id) == [second.id]


def reopen(ledger: Ledger, *ids: UUID) -> list[UUID]:
    with ledger.app.database.write() as connection:
        return [one.run_id for one in replay.reopen(connection, ids)]
