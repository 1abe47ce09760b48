"""jobs.testing, as an application uses it; and its pytest plugin."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from freezegun import freeze_time

import jobs
from jobs import Cause, Job, Outcome, Retry, RunState
from jobs.ledger.records import Claim
from jobs.testing import Ledger

DAY = timedelta(days=1)


class Send(Job, kind="testing.Send", retry=Retry(max_attempts=3)):
    to: str

    def idempotency_key(self) -> str:
        return self.to

    def perform(self) -> str:
        return f"sent to {self.to}"


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url) as ledger:
        yield ledger


def test_perform_runs_one_job_with_a_real_run(ledger: Ledger) -> None:
    performed = ledger.perform(Send(to="a"))

    assert performed.result() == "sent to a"
    assert performed.run.state is RunState.SUCCEEDED
    assert [one.attempt for one in jobs.attempts(performed.run.id)] == [1]


@pytest.mark.parametrize("error", [jobs.RetryAfter(timedelta.max), jobs.Snooze(timedelta.max)])
def test_a_wait_beyond_all_dates_is_a_hundred_years(ledger: Ledger, error: Exception) -> None:
    ledger.fail(Send, error)

    run = ledger.perform(Send(to="a")).run

    assert run.state is RunState.QUEUED
    assert timedelta(days=36524) < run.run_at - ledger.clock.now() < timedelta(days=36526)


def test_what_a_job_raised_is_raised_by_its_result(ledger: Ledger) -> None:
    ledger.fail(Send, ValueError("no such address"))

    with pytest.raises(ValueError, match="no such address"):
        ledger.perform(Send(to="a")).result()


def test_a_run_due_in_a_day_is_performed_after_a_day(ledger: Ledger) -> None:
    Send(to="a").enqueue(delay=DAY)
    assert ledger.drain() == []

    ledger.advance(DAY - timedelta(seconds=5))
    assert ledger.drain() == []

    ledger.advance(timedelta(seconds=6))
    [performed] = ledger.drain()
    assert performed.run.started_at is not None
    assert performed.run.started_at - performed.run.created_at >= DAY


def test_time_passes_up_to_what_falls_due_and_then_to_the_end(ledger: Ledger) -> None:
    before = ledger.clock.now()
    Send(to="a").enqueue(delay=DAY)
    Send(to="b").enqueue(delay=3 * DAY)

    performed = ledger.drain(advance=2 * DAY)

    assert [one.result() for one in performed] == ["sent to a"]
    assert timedelta(0) <= ledger.clock.now() - before - 2 * DAY < timedelta(seconds=30)


def test_a_run_that_becomes_due_while_the_ledger_looks_is_performed(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    Send(to="a").enqueue(delay=timedelta(seconds=10))
    look = ledger._claim_due

    def slow_look() -> list[Claim]:
        found = look()
        ledger.advance(timedelta(seconds=11))
        return found

    monkeypatch.setattr(ledger, "_claim_due", slow_look)

    assert [one.result() for one in ledger.drain(advance=timedelta(minutes=5))] == ["sent to a"]


@pytest.mark.parametrize(
    ("what", "outcome"),
    [("fail", Outcome.FAILED), ("time_out", Outcome.TIMED_OUT), ("crash", Outcome.CRASHED)],
)
def test_an_attempt_fails_on_demand_and_the_next_does_not(ledger: Ledger, what: str, outcome: Outcome) -> None:
    getattr(ledger, what)(Send)

    first = ledger.perform(Send(to="a"))
    second = ledger.drain(advance=DAY)

    assert (first.outcome, first.run.state) == (outcome, RunState.QUEUED)
    assert [one.result() for one in second] == ["sent to a"]
    assert [one.outcome for one in jobs.attempts(first.run.id)] == [outcome, Outcome.SUCCEEDED]


def test_crashes_make_poison_as_they_do_in_production(ledger: Ledger) -> None:
    ledger.crash(Send, times=3)
    Send(to="a").enqueue()

    last = ledger.drain(advance=DAY)[-1]

    assert last.run.cause in (Cause.POISON, Cause.EXHAUSTED)


def test_what_was_enqueued_is_asserted_by_kind_arguments_key_and_time(ledger: Ledger) -> None:
    moment = ledger.clock.now() + DAY
    Send(to="a").enqueue(at=moment, queue="mail")
    Send(to="b").enqueue()

    run = ledger.assert_enqueued(Send, to="a", key="a", queue="mail", at=moment)

    assert run.arguments == {"to": "a"}
    ledger.assert_enqueued(Send, to="a", delay=DAY)
    for wrong in ({"to": "c"}, {"key": "c"}, {"queue": "other", "to": "a"}, {"delay": 2 * DAY}):
        with pytest.raises(AssertionError, match="not 1"):
            ledger.assert_enqueued(Send, **wrong)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="2 runs"):
        ledger.assert_enqueued(Send)
    with pytest.raises(AssertionError):
        ledger.assert_not_enqueued(Send)


def test_a_run_that_is_not_due_is_not_performed(ledger: Ledger) -> None:
    enqueued = Send(to="a").enqueue(delay=DAY)

    with pytest.raises(jobs.JobsError, match="not due"):
        ledger.perform(enqueued.id)


def test_the_test_ledger_works_beside_freezegun(ledger: Ledger) -> None:
    with freeze_time("2031-05-04 03:02:01", tz_offset=0) as frozen:
        Send(to="a").enqueue(delay=timedelta(hours=1))
        assert ledger.drain() == []
        frozen.tick(timedelta(minutes=61))
        [performed] = ledger.drain()
        assert performed.run.created_at == datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)
        Send(to="b").enqueue(delay=DAY)
        ledger.advance(DAY)
        assert [one.result() for one in ledger.drain()] == ["sent to b"]


def test_a_ledger_of_its_own_goes_with_the_test() -> None:
    with Ledger() as ledger:
        ledger.perform(Send(to="a"))
        file = ledger.app.database.url.database
    with Ledger() as other:
        assert other.runs() == []
        assert other.app.database.url.database != file


def test_the_plugin_gives_each_test_an_empty_ledger(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[3]))
    pytester.makepyfile(
        """
        from jobs import Job

        class Greet(Job):
            name: str

            def perform(self):
                return f"hello {self.name}"

        def test_one(jobs_ledger):
            assert jobs_ledger.perform(Greet(name="you")).result() == "hello you"

        def test_another(jobs_ledger):
            jobs_ledger.assert_not_enqueued(Greet)
        """
    )

    # Installed, the plugin names itself; from a bare checkout it must be named.
    is_installed = any(one.value == "jobs.pytest_plugin" for one in entry_points(group="pytest11"))
    named = () if is_installed else ("-p", "jobs.pytest_plugin")
    result = pytester.runpytest_subprocess(*named, "-p", "no:cacheprovider")

    result.assert_outcomes(passed=2)
