"""Steps are performed once, and later attempts get their results; the process may die in between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from sqlalchemy import text

import jobs
from jobs import Cause, Job, Outcome, RunState
from jobs.ledger.effects.cursors import move_cursor
from jobs.ledger.effects.steps import begin_effect, end_effect, repeat_effect
from jobs.ledger.runs import sweep
from jobs.testing import Crash, Ledger

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    Gateway.reset()
    with Ledger(ledger_url, lock_timeout="2s") as ledger:
        yield ledger


class Gateway:
    calls: ClassVar[list[str]] = []
    errors: ClassVar[list[BaseException]] = []
    answer: ClassVar[Any] = "receipt"

    @classmethod
    def reset(cls) -> None:
        cls.calls, cls.errors, cls.answer = [], [], "receipt"

    @classmethod
    def charge(cls, key: str) -> Any:
        cls.calls.append(key)
        if cls.errors:
            raise cls.errors.pop(0)
        return cls.answer


class Charge(Job, kind="effects.Charge"):
    if_unknown: str = "repeat"

    def perform(self) -> Any:
        key = self.run.effect_key("charge")
        return self.run.once("charge", lambda: Gateway.charge(key), if_unknown=self.if_unknown)  # type: ignore[arg-type]


def test_a_step_is_performed_once_and_later_attempts_get_its_result(ledger: Ledger) -> None:
    Gateway.answer = ("a", 1)
    ledger.crash(Charge, late=True)
    first = ledger.perform(Charge())

    performed = ledger.drain(advance=HOUR)

    assert first.outcome is Outcome.CRASHED
    assert [one.result() for one in performed] == [["a", 1]]
    assert len(Gateway.calls) == 1


def test_a_step_returns_its_result_as_json_the_first_time_too(ledger: Ledger) -> None:
    Gateway.answer = {"at": (1, 2)}

    assert ledger.perform(Charge()).result() == {"at": [1, 2]}


@pytest.mark.parametrize("error", [Crash("died"), OSError("connection reset")])
def test_an_intent_without_an_end_is_repeated_with_the_same_key(ledger: Ledger, error: BaseException) -> None:
    Gateway.errors = [error]
    ledger.perform(Charge())

    ledger.drain(advance=HOUR)

    assert len(Gateway.calls) == 2
    assert len(set(Gateway.calls)) == 1


def test_an_intent_without_an_end_ends_a_run_with_on_unknown_stop(ledger: Ledger) -> None:
    Gateway.errors = [Crash("died")]
    ledger.perform(Charge(if_unknown="stop"))

    [performed] = ledger.drain(advance=HOUR)

    assert (performed.run.state, performed.run.cause) == (RunState.DEAD, Cause.UNKNOWN_EFFECT)
    assert len(Gateway.calls) == 1
    [step] = jobs.steps(performed.run.id)
    assert (step.name, step.finished_at, step.attempt) == ("charge", None, 1)


def test_the_error_of_an_unknown_effect_says_how_to_resolve_it_and_a_reopened_run_ends_the_same_way(
    ledger: Ledger,
) -> None:
    # K.8
    from jobs.ledger.runs.replay import reopen

    Gateway.errors = [Crash("died")]
    ledger.perform(Charge(if_unknown="stop"))
    [performed] = ledger.drain(advance=HOUR)

    said = performed.run.error_message or ""
    assert "It is unknown whether it took place" in said
    assert f"jobledger effects resolve {performed.run.id} charge --took-place RESULT, or --did-not" in said

    with ledger.app.database.write() as connection:
        reopen(connection, [performed.run.id])
    [again] = ledger.drain(advance=HOUR)
    assert (again.run.state, again.run.cause) == (RunState.DEAD, Cause.UNKNOWN_EFFECT)
    assert len(Gateway.calls) == 1


def test_a_steering_signal_says_that_the_step_did_not_take_place(ledger: Ledger) -> None:
    Gateway.errors = [jobs.RetryAfter(HOUR)]
    ledger.perform(Charge(if_unknown="stop"))

    performed = ledger.drain(advance=2 * HOUR)

    assert [one.result() for one in performed] == ["receipt"]


def test_a_name_stands_for_one_step_of_an_attempt(ledger: Ledger) -> None:
    class Repeats(Job):
        def perform(self) -> None:
            for _ in range(2):
                self.run.once("same", lambda: None)

    assert isinstance(ledger.perform(Repeats()).error, jobs.StepRepeated)


@pytest.mark.parametrize("answer", [object(), "x" * 2000, float("nan"), {1, 2, 3} and {"k": "a\0b"}])
def test_a_result_that_a_step_cannot_store_is_refused(ledger_url: str, answer: Any) -> None:
    Gateway.reset()
    Gateway.answer = answer
    with Ledger(ledger_url, max_result_bytes=1000) as ledger:
        assert isinstance(ledger.perform(Charge()).error, jobs.StepRefused)


def test_a_step_inside_the_transaction_is_refused_at_once(ledger: Ledger) -> None:
    class Inside(Job):
        def perform(self) -> None:
            with self.run.transaction():
                self.run.once("charge", lambda: None)

    error = ledger.perform(Inside()).error
    assert isinstance(error, jobs.JobsError)
    assert "before the block" in str(error)


def test_a_zombie_stores_no_step(ledger: Ledger) -> None:
    run_id = Charge().enqueue().id
    old = claim(ledger, run_id)
    with ledger.app.database.write() as connection:
        begin_effect(connection, run_id, old.token, "charge", attempt=1)
    ledger.advance(DAY)
    with ledger.app.database.write() as connection:
        sweep.rescue(connection, poison_after=9)
    new = claim(ledger, run_id)
    # Nobody has repeated the step yet: it still has the token of the old attempt.
    with pytest.raises(jobs.LeaseLost), ledger.app.database.write() as connection:
        end_effect(connection, run_id, old.token, "charge", result='"old"')
    with pytest.raises(jobs.LeaseLost), ledger.app.database.write() as connection:
        repeat_effect(connection, run_id, old.token, "charge", attempt=1)
    with ledger.app.database.write() as connection:
        repeat_effect(connection, run_id, new.token, "charge", attempt=2)

    with pytest.raises(jobs.LeaseLost), ledger.app.database.write() as connection:
        end_effect(connection, run_id, old.token, "charge", result='"old"')
    with pytest.raises(jobs.LeaseLost), ledger.app.database.write() as connection:
        move_cursor(connection, run_id, old.token, "rows", attempt=1, to="5")
    with pytest.raises(jobs.LeaseLost), ledger.app.database.write() as connection:
        begin_effect(connection, run_id, old.token, "other", attempt=1)
    with ledger.app.database.write() as connection:
        end_effect(connection, run_id, new.token, "charge", result='"new"')

    assert [step.result for step in jobs.steps(run_id)] == ["new"]


def claim(ledger: Ledger, run_id: Any) -> Any:
    from jobs.ledger.runs.claim import claim as verb

    with ledger.app.database.write() as connection:
        [one] = verb(connection, [run_id], kinds=["effects.Charge"], worker="w", lease=HOUR)
    return one


def test_an_effect_key_is_the_same_in_every_attempt_and_another_for_other_arguments(ledger: Ledger) -> None:
    Gateway.errors = [OSError(), OSError()]
    ledger.perform(Charge())
    ledger.drain(advance=HOUR)
    ledger.perform(Charge())

    assert len(Gateway.calls) == 4
    assert len(set(Gateway.calls)) == 2


def test_a_step_that_is_cancelled_before_its_call_leaves_no_doubt(ledger: Ledger) -> None:  # K.2
    called: list[int] = []

    class Impatient(Job):
        async def perform(self) -> None:
            async def call() -> None:
                called.append(1)

            with ledger.app.database.write() as connection:
                # The step's intent waits for this.
                connection.execute(text("update job_runs set progress = null where id = :id"), {"id": self._stored()})
                step = asyncio.create_task(self.run.once_async("call", call, if_unknown="stop"))
                await asyncio.sleep(0.2)
                step.cancel()
                await asyncio.sleep(0)
            await asyncio.wait([step])
            assert step.cancelled()

        def _stored(self) -> Any:
            return self.run.id if ledger.app.database.dialect == "postgresql" else self.run.id.hex

    performed = ledger.perform(Impatient())

    assert performed.outcome is Outcome.SUCCEEDED
    assert called == []
    assert jobs.steps(performed.run.id) == []
