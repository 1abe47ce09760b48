"""Runs that wait for a signal or a moment: they hold nothing meanwhile, and begin again on their steps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

import pytest

import jobs
from jobs import Job, Outcome, RunState
from jobs.testing import Crash, Ledger

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    WaitOrder.calls = []
    with Ledger(ledger_url, lock_timeout="2s", public_url="https://jobs.example.com/") as ledger:
        yield ledger


class WaitOrder(Job):
    calls: ClassVar[list[str]] = []

    def perform(self) -> Any:
        self.run.once("charge", lambda: self.calls.append("charge"))
        try:
            answer = self.run.wait_for("approval", within=3 * DAY)
        except jobs.WaitExpired as error:
            return {"late": error.name}
        return {"answer": answer}


class WaitRest(Job):
    def perform(self) -> str:
        self.run.sleep("cool off", 6 * SECOND)
        return "rested"


class WaitKeyed(Job, unique=jobs.WHILE_LIVE):
    order: int

    def idempotency_key(self) -> str:
        return f"order:{self.order}"

    def perform(self) -> Any:
        return self.run.wait_for("paid")


def held(ledger: Ledger, run_id: Any) -> tuple[Any, ...]:
    found = jobs.find(run_id)
    return found.state, found.hold, found.held_on


def test_a_run_waits_uncharged_and_a_signal_wakes_it_to_go_on_after_its_steps(ledger: Ledger) -> None:
    first = ledger.perform(WaitOrder())
    run_id = first.run.id

    assert first.outcome is Outcome.SUSPENDED
    assert (first.run.charged, held(ledger, run_id)) == (0, (RunState.QUEUED, "waiting", "signal:approval"))
    assert ledger.drain() == []
    assert jobs.signal(run_id, "approval", {"by": "ada"}) == jobs.Signalled(run_id, is_first=True)
    assert not jobs.signal(run_id, "approval", {"by": "eve"}).is_first
    (second,) = ledger.drain()
    assert second.run.result == {"answer": {"by": "ada"}}
    assert WaitOrder.calls == ["charge"]
    assert held(ledger, run_id) == (RunState.SUCCEEDED, None, None)
    assert [(one.outcome, one.retry_at) for one in jobs.attempts(run_id)] == [
        (Outcome.SUSPENDED, None), (Outcome.SUCCEEDED, None),
    ]  # fmt: skip


def test_a_signal_that_comes_before_the_wait_is_kept(ledger: Ledger) -> None:
    run_id = WaitOrder().enqueue().id
    jobs.signal(run_id, "approval", None)

    (done,) = ledger.drain()

    assert done.run.result == {"answer": None}


def test_a_signal_that_comes_while_the_attempt_ends_is_not_missed(ledger: Ledger) -> None:
    class WaitRacing(Job):
        def perform(self) -> Any:
            try:
                return self.run.wait_for("go")
            finally:
                if self.run.attempt == 1:
                    jobs.signal(self.run.id, "go", 7)

    WaitRacing().enqueue()

    first, second = ledger.drain()

    assert (first.outcome, second.run.result) == (Outcome.SUSPENDED, 7)


def test_a_wait_that_expires_stays_expired_when_the_signal_comes_later(ledger: Ledger) -> None:
    class WaitLate(Job):
        def perform(self) -> str:
            try:
                self.run.wait_for("answer", within=DAY)
            except jobs.WaitExpired:
                if self.run.attempt == 2:
                    jobs.signal(self.run.id, "answer", "late")
                    raise jobs.RetryAfter(SECOND) from None
                return "expired"
            return "answered"

    run_id = ledger.perform(WaitLate()).run.id

    assert jobs.find(run_id).run_at - ledger.clock.now() <= DAY
    ledger.drain(advance=2 * DAY)
    assert (jobs.find(run_id).result, len(jobs.attempts(run_id))) == ("expired", 3)


def test_a_sleep_lasts_from_the_first_attempt_on(ledger: Ledger) -> None:
    run_id = ledger.perform(WaitRest()).run.id

    assert held(ledger, run_id) == (RunState.QUEUED, "waiting", "sleep:cool off")
    assert ledger.drain(advance=5 * SECOND) == []
    assert [one.run.result for one in ledger.drain(advance=2 * SECOND)] == ["rested"]


def test_a_signal_finds_the_live_run_of_a_key(ledger: Ledger) -> None:
    run_id = ledger.perform(WaitKeyed(order=7)).run.id

    assert jobs.signal(key="order:7", kind=WaitKeyed, name="paid", payload=[1]).id == run_id
    assert ledger.drain()[0].run.result == [1]
    with pytest.raises(jobs.NotFound, match="No live run of WaitKeyed holds the key 'order:7'"):
        jobs.signal(key="order:7", kind="WaitKeyed", name="paid")


def test_a_signal_in_a_session_counts_when_its_owner_commits(ledger: Ledger) -> None:
    run_id = ledger.perform(WaitOrder()).run.id

    with ledger.app.database.session() as session:
        jobs.signal(run_id, "approval", 1, session=session)
        session.rollback()
    assert ledger.drain() == []
    with ledger.app.database.session() as session:
        jobs.signal(run_id, "approval", 2, session=session)
        session.commit()
    assert ledger.drain()[0].run.result == {"answer": 2}


def test_a_run_that_has_ended_takes_no_signal(ledger: Ledger) -> None:
    run_id = ledger.perform(WaitOrder()).run.id
    jobs.cancel(run_id)

    with pytest.raises(jobs.SignalRefused, match="has ended"):
        jobs.signal(run_id, "approval", 1)

    assert held(ledger, run_id)[:2] == (RunState.CANCELLED, None)
    with pytest.raises(jobs.NotFound):
        jobs.signal("0199f4c2-a7d8-7b3c-9a52-3f1de0c9165b", "approval")


@pytest.mark.parametrize(
    ("send", "error"),
    [
        (lambda id: jobs.signal(id, "approval", object()), jobs.ArgumentsRefused),
        (lambda id: jobs.signal(id, "approval", "x" * 300_000), jobs.ArgumentsRefused),
        (lambda id: jobs.signal(id, "approval", float("nan")), jobs.ArgumentsRefused),
        (lambda id: jobs.signal(id, "approval", "\0"), jobs.ArgumentsRefused),
        (lambda id: jobs.signal(id, "", 1), jobs.EnqueueRefused),
        (lambda id: jobs.signal(id, "x" * 201, 1), jobs.EnqueueRefused),
        (lambda id: jobs.signal(id), jobs.EnqueueRefused),
        (lambda id: jobs.signal(name="approval"), jobs.EnqueueRefused),
        (lambda id: jobs.signal(id, "approval", key="k", kind=WaitOrder), jobs.EnqueueRefused),
    ],
)
def test_a_signal_that_cannot_be_kept_is_refused_whole(ledger: Ledger, send: Any, error: type[Exception]) -> None:
    run_id = ledger.perform(WaitOrder()).run.id

    with pytest.raises(error):
        send(run_id)

    assert ledger.drain() == []


def test_a_wait_is_refused_where_a_run_cannot_wait(ledger: Ledger) -> None:
    class WaitOdd(Job):
        what: int

        def perform(self) -> None:
            if self.what == 0:
                with self.run.transaction():
                    self.run.wait_for("x")
            elif self.what == 1:
                self.run.once("x", lambda: 1)
                self.run.wait_for("x")
            elif self.what == 2:
                self.run.sleep("x", -SECOND)
            elif self.what == 3:
                self.run.wait_for("x", within=3)  # type: ignore[arg-type]

    errors = [type(ledger.perform(WaitOdd(what=what)).error) for what in range(4)]

    assert errors == [jobs.errors.Conflict, jobs.StepRepeated, jobs.EnqueueRefused, jobs.EnqueueRefused]


def test_a_step_of_another_form_is_told_apart(ledger: Ledger) -> None:
    class WaitChanged(Job):
        def perform(self) -> Any:
            if self.run.attempt == 1:
                self.run.once("x", lambda: 1)
                raise jobs.RetryAfter(timedelta(0))
            return self.run.wait_for("x")

    WaitChanged().enqueue()

    _, second = ledger.drain(advance=SECOND)[:2]

    assert isinstance(second.error, jobs.StepRefused)


def test_a_job_that_swallows_the_suspension_still_waits(ledger: Ledger) -> None:
    class WaitGreedy(Job):
        def perform(self) -> Any:
            try:
                return self.run.wait_for("x")
            except BaseException:
                return "swallowed"

    first = ledger.perform(WaitGreedy())

    assert (first.outcome, first.run.state) == (Outcome.SUSPENDED, RunState.QUEUED)
    jobs.signal(first.run.id, "x", "kept")
    assert ledger.drain()[0].run.result == "kept"


def test_async_jobs_wait_too(ledger: Ledger) -> None:
    class WaitLater(Job):
        async def perform(self) -> Any:
            await self.run.sleep_async("nap", SECOND)
            async with asyncio.TaskGroup() as group:
                first = group.create_task(self.run.wait_for_async("first"))
                second = group.create_task(self.run.wait_for_async("second", within=DAY))
            return [first.result(), second.result()]

    run_id = ledger.perform(WaitLater()).run.id
    assert held(ledger, run_id)[2] == "sleep:nap"
    assert [one.outcome for one in ledger.drain(advance=2 * SECOND)] == [Outcome.SUSPENDED]
    asyncio.run(jobs.signal_async(run_id, "first", 1))
    jobs.signal(run_id, "second", 2)

    ledger.drain(advance=SECOND)

    assert jobs.find(run_id).result == [1, 2]


def test_a_crash_before_the_wait_is_recorded_makes_no_second_wait(ledger: Ledger) -> None:
    class WaitDies(Job):
        def perform(self) -> Any:
            try:
                return self.run.wait_for("x", within=DAY)
            except BaseException:
                if self.run.attempt == 1:
                    raise Crash from None
                raise

    run_id = ledger.perform(WaitDies()).run.id
    (began,) = jobs.steps(run_id)
    ledger.drain(advance=timedelta(minutes=5))

    assert [(one.started_at, one.form) for one in jobs.steps(run_id)] == [(began.started_at, "wait")]
    assert held(ledger, run_id)[2] == "signal:x"
