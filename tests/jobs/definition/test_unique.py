"""Admitted once: keys, at one enqueue and at many, at once and one after the other, on both dialects."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

import jobs
from jobs import FOREVER, Job, KeyConflict, RunState, Within
from jobs.app import App
from jobs.ledger.runs import replay
from jobs.testing import Ledger
from tests.waiting import wait_until

HOUR = timedelta(hours=1)


class Sync(Job):
    """Holds its key while it is live."""

    account: int
    amount: int = 0

    def idempotency_key(self) -> str:
        return f"account:{self.account}"

    def perform(self) -> int:
        return self.amount


class Hourly(Job, unique=Within(HOUR)):
    account: int
    amount: int = 0

    def idempotency_key(self) -> str:
        return str(self.account)

    def perform(self) -> None: ...


class Welcome(Job, unique=FOREVER):
    account: int

    def idempotency_key(self) -> str:
        return str(self.account)

    def perform(self) -> None: ...


class Plain(Job):
    n: int = 0

    def perform(self) -> None: ...


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


def test_while_its_run_is_live_a_key_makes_no_second_run(ledger: Ledger) -> None:
    first = Sync(account=1).enqueue()
    second = Sync(account=1).enqueue()

    assert (first.created, second.created) == (True, False)
    assert second.id == first.id
    assert len(ledger.runs(Sync)) == 1


def test_other_arguments_under_a_held_key_are_refused_with_the_run_that_holds_it(ledger: Ledger) -> None:
    first = Sync(account=1, amount=1).enqueue()

    with pytest.raises(KeyConflict) as caught:
        Sync(account=1, amount=2).enqueue()

    assert caught.value.run_id == str(first.id)
    assert caught.value.key == "account:1"
    assert caught.value.code == "key_conflict"


def test_a_key_is_free_again_when_its_run_has_ended(ledger: Ledger) -> None:
    first = Sync(account=1).enqueue()
    ledger.drain()

    assert Sync(account=1).enqueue().id != first.id


@pytest.mark.parametrize("end", ["cancel", "expire"])
def test_a_key_is_free_again_however_its_run_ended(ledger: Ledger, end: str) -> None:
    first = Sync(account=1).enqueue(delay=HOUR, expires=timedelta(minutes=1))
    if end == "cancel":
        jobs.cancel(first.id)
    else:
        ledger.drain(advance=HOUR)

    assert Sync(account=1).enqueue().created


def test_within_a_window_the_first_run_is_the_answer_also_when_it_has_ended(ledger: Ledger) -> None:
    first = Hourly(account=1).enqueue()
    ledger.drain()

    again = Hourly(account=1).enqueue()
    ledger.advance(HOUR + timedelta(seconds=1))
    later = Hourly(account=1).enqueue()

    assert (again.id, again.created) == (first.id, False)
    assert later.created


def test_a_window_ends_also_while_the_run_of_another_key_is_live(ledger: Ledger) -> None:
    Hourly(account=1).enqueue()
    ledger.drain()
    Hourly(account=2).enqueue(delay=9 * HOUR)
    ledger.advance(HOUR + timedelta(seconds=1))

    assert Hourly(account=1).enqueue().created


def test_a_window_does_not_end_while_its_run_is_live(ledger: Ledger) -> None:
    first = Hourly(account=1).enqueue(delay=3 * HOUR)
    ledger.advance(2 * HOUR)

    assert Hourly(account=1).enqueue().id == first.id


def test_an_enqueue_that_returns_the_live_run_does_not_extend_its_window(ledger: Ledger) -> None:  # K2.C
    Hourly(account=1).enqueue(delay=3 * HOUR)
    ledger.advance(2.9 * HOUR)

    Hourly(account=1).enqueue()
    ledger.drain(advance=0.2 * HOUR)

    assert Hourly(account=1).enqueue().created


def test_a_key_held_for_ever_outlives_its_run(ledger: Ledger) -> None:
    first = Welcome(account=1).enqueue()
    ledger.drain()
    with ledger.app.database.write() as connection:
        connection.execute(text("delete from job_runs"))

    again = Welcome(account=1).enqueue()

    assert (again.id, again.created) == (first.id, False)


def test_each_kind_has_its_own_keys(ledger: Ledger) -> None:
    assert Hourly(account=1).enqueue().created
    assert Welcome(account=1).enqueue().created


def test_a_key_given_at_enqueue_wins_over_the_class(ledger: Ledger) -> None:
    first = Sync(account=1).enqueue(key="mine")

    assert Sync(account=1).enqueue().created
    assert Sync(account=1).enqueue(key="mine").id == first.id
    assert jobs.find(first.id).key == "mine"


@pytest.mark.parametrize("key", ["", "x" * 256, "a\0b"])
def test_an_invalid_key_is_refused(ledger: Ledger, key: str) -> None:
    with pytest.raises(jobs.EnqueueRefused, match="cannot be a key"):
        Plain().enqueue(key=key)


def test_unique_without_a_key_is_refused(ledger: Ledger) -> None:
    class Keyless(Job, unique=FOREVER):
        def perform(self) -> None: ...

    with pytest.raises(jobs.EnqueueRefused, match="no key"):
        Keyless().enqueue()


def test_results_of_many_keyed_runs_are_in_the_order_of_the_call(ledger: Ledger) -> None:
    held = Sync(account=2).enqueue()

    answers = jobs.enqueue_many(
        [Sync(account=3), Plain(n=1), Sync(account=2), Welcome(account=1), Sync(account=3), Hourly(account=1)]
    )

    assert [one.created for one in answers] == [True, True, False, True, False, True]
    assert answers[2].id == held.id
    assert answers[4].id == answers[0].id
    assert len(ledger.runs()) == 5


def test_of_many_with_one_conflict_none_is_enqueued(ledger: Ledger) -> None:
    Sync(account=2, amount=1).enqueue()

    with pytest.raises(KeyConflict):
        jobs.enqueue_many([Plain(), Sync(account=1), Sync(account=2, amount=2)])

    assert len(ledger.runs()) == 1


def test_a_thousand_keys_go_in_at_once_and_come_back_at_once(ledger: Ledger) -> None:
    many = [Sync(account=n) for n in range(1200)]

    first = jobs.enqueue_many(many)
    again = jobs.enqueue_many(many[::-1])

    assert all(one.created for one in first)
    assert not any(one.created for one in again)
    assert [one.id for one in again] == [one.id for one in first][::-1]


def test_a_waiting_run_takes_new_arguments_and_a_new_time(ledger: Ledger) -> None:
    first = Sync(account=1, amount=1).enqueue(delay=HOUR)

    second = Sync(account=1, amount=2).enqueue(delay=2 * HOUR, on_conflict="replace")

    assert second == jobs.Enqueued(first.id, created=False)
    ledger.assert_enqueued(Sync, account=1, amount=2, delay=2 * HOUR)


def test_a_waiting_run_that_takes_new_arguments_has_none_of_the_steps_of_the_old_ones(ledger: Ledger) -> None:  # K2.C
    class Charge(Job):
        amount: int

        def idempotency_key(self) -> str:
            return "one"

        def perform(self) -> object:
            charged = self.run.once("charge", lambda: self.amount)
            if self.amount == 1:
                raise RuntimeError("after the step")
            return charged

    first = Charge(amount=1).enqueue()
    ledger.drain()
    assert [one.result for one in jobs.steps(first.id)] == [1]

    Charge(amount=2).enqueue(on_conflict="replace")
    performed = ledger.drain(advance=HOUR)

    assert [(one.run.id, one.result()) for one in performed] == [(first.id, 2)]


def test_a_retrying_run_that_takes_new_arguments_has_a_fresh_budget(ledger: Ledger) -> None:
    first = Sync(account=1, amount=1).enqueue()
    ledger.fail(Sync)
    ledger.drain()
    assert jobs.find(first.id).charged == 1

    Sync(account=1, amount=2).enqueue(delay=HOUR, on_conflict="replace")

    run = jobs.find(first.id)
    assert (run.state, run.charged, run.attempt) == (RunState.QUEUED, 0, 1)


def test_debounce_performs_only_the_last(ledger: Ledger) -> None:
    for amount in range(5):
        Sync(account=1, amount=amount).enqueue(delay=timedelta(seconds=30), on_conflict="replace")
        ledger.drain(advance=timedelta(seconds=10))

    performed = ledger.drain(advance=HOUR)

    assert [one.result() for one in performed] == [4]


def test_a_running_run_gets_a_successor_when_it_ends(ledger: Ledger) -> None:
    class Rebuild(Job):
        n: int

        def idempotency_key(self) -> str:
            return "one"

        def perform(self) -> int:
            if self.n == 0:
                for later in (1, 2):
                    answers.append(Rebuild(n=later).enqueue(on_conflict="replace"))
            return self.n

    answers: list[jobs.Enqueued] = []
    first = Rebuild(n=0).enqueue()

    performed = ledger.drain()

    assert [one.result() for one in performed] == [0, 2]
    assert answers == [jobs.Enqueued(first.id, created=False)] * 2
    assert performed[1].run.parent_id == first.id


def test_replace_within_one_call_keeps_the_last(ledger: Ledger) -> None:
    answers = jobs.enqueue_many([Sync(account=1, amount=n) for n in (1, 2, 3)], on_conflict="replace")

    assert len({one.id for one in answers}) == 1
    ledger.assert_enqueued(Sync, amount=3)


@pytest.mark.parametrize("cls", [Sync, Hourly, Welcome])
def test_fifty_concurrent_enqueuers_make_one_run(ledger: Ledger, cls: Callable[..., Job]) -> None:
    start = threading.Barrier(50)

    def enqueue(place: int) -> jobs.Enqueued:
        start.wait(20)
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
        start.wait(20)
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

        assert second.result(10) == jobs.Enqueued(first.id, created=False)


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


def test_lapsed_keys_are_forgotten_and_no_others(ledger: Ledger) -> None:
    from jobs.ledger.admission.keys import forget_lapsed

    Hourly(account=1).enqueue()
    Welcome(account=1).enqueue()
    ledger.drain()
    ledger.advance(2 * HOUR)
    waiting = Hourly(account=2).enqueue(delay=9 * HOUR)
    ledger.advance(2 * HOUR)

    with ledger.app.database.write() as connection:
        assert forget_lapsed(connection) == 1
    assert Hourly(account=2).enqueue().id == waiting.id
    assert not Welcome(account=1).enqueue().created


def test_an_async_caller_enqueues_once_too(ledger: Ledger) -> None:
    async def enqueue() -> list[jobs.Enqueued]:
        return await asyncio.gather(*(Sync(account=1).enqueue_async() for _ in range(10)))

    answers = asyncio.run(enqueue())

    assert sum(one.created for one in answers) == 1
