"""Admitted once: keys, at one enqueue and at many, at once and one after the other, on both dialects."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text

import jobs
from jobs import FOREVER, Job, KeyConflict, RunState
from jobs.testing import Ledger
from tests.jobs.definition.keyed_jobs import HOUR, Hourly, Plain, Sync, Welcome


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url, lock_timeout="2s") as ledger:
        yield ledger


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
