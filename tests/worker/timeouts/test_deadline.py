"""Limits and cancellation land in the job or not at all, and each ends an attempt once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from jobs.errors import Cancelled, TimeLimitExceeded
from tests.worker.timeouts.slow_calls import LIMIT, nap, nothing_is_pending, spin, wait_then_nap
from tests.worker.timeouts.watched import deadlines as deadlines
from tests.worker.timeouts.watched import swallow
from worker.timeouts.deadline import Deadlines, TimeoutToken


def test_a_result_within_the_limit_is_returned(deadlines: Deadlines) -> None:
    timeout_token = TimeoutToken()

    assert deadlines.perform(lambda: 7, timeout_token=timeout_token, soft_seconds=LIMIT, hard_seconds=LIMIT) == 7
    assert not timeout_token.interrupted


def test_an_error_within_the_limit_is_raised(deadlines: Deadlines) -> None:
    with pytest.raises(ZeroDivisionError):
        deadlines.perform(lambda: 1 / 0, timeout_token=TimeoutToken(), soft_seconds=LIMIT)


@pytest.mark.parametrize("job", [spin, nap, wait_then_nap])
def test_a_soft_limit_is_raised_in_the_job(deadlines: Deadlines, job: Callable[[float], None]) -> None:
    timeout_token = TimeoutToken()
    cleaned_up = []

    def perform() -> None:
        try:
            job(LIMIT)
        finally:
            cleaned_up.append(True)

    with pytest.raises(TimeLimitExceeded, match="over its time limit") as landed:
        deadlines.perform(perform, timeout_token=timeout_token, soft_seconds=0.02)

    assert type(landed.value) is TimeLimitExceeded
    assert cleaned_up == [True]
    assert timeout_token.interrupted
    nothing_is_pending()


def test_a_limit_of_ten_milliseconds_is_met_within_fifty_after_an_idle_time(deadlines: Deadlines) -> None:
    lateness: list[float] = []
    # A busy machine may be late again and again.
    while len(lateness) < 5 or (min(lateness) >= 0.05 and len(lateness) < 100):
        began = time.monotonic()
        with pytest.raises(TimeLimitExceeded):
            deadlines.perform(lambda: nap(LIMIT), timeout_token=TimeoutToken(), soft_seconds=0.01)
        lateness.append(time.monotonic() - began - 0.01)

    assert 0 <= min(lateness) < 0.05


def test_a_nearer_limit_wakes_a_watchdog_that_waits_for_a_far_one(deadlines: Deadlines) -> None:
    deadlines.perform(lambda: None, timeout_token=TimeoutToken(), soft_seconds=3600)
    began = time.monotonic()

    with pytest.raises(TimeLimitExceeded):
        deadlines.perform(lambda: nap(LIMIT), timeout_token=TimeoutToken(), soft_seconds=0.02)

    assert time.monotonic() - began < LIMIT / 2


def test_a_job_that_polls_an_event_is_interrupted_and_leaves_its_lock_free(deadlines: Deadlines) -> None:
    shared = threading.Event()

    def perform() -> None:
        while True:
            shared.wait(0.01)

    with pytest.raises(TimeLimitExceeded):
        deadlines.perform(perform, timeout_token=TimeoutToken(), soft_seconds=0.05, hard_seconds=LIMIT)

    assert shared._cond.acquire(timeout=LIMIT)  # type: ignore[attr-defined]


def convert() -> None:
    try:
        spin(LIMIT)
    except BaseException as error:
        raise ValueError("something else") from error


@pytest.mark.parametrize("job", [swallow, convert])
def test_a_limit_that_the_job_swallowed_ends_the_attempt_all_the_same(
    deadlines: Deadlines, job: Callable[[], object]
) -> None:
    timeout_token = TimeoutToken()

    with pytest.raises(TimeLimitExceeded):
        deadlines.perform(job, timeout_token=timeout_token, soft_seconds=0.02)

    assert timeout_token.interrupted


def test_a_cancellation_is_raised_in_the_job(deadlines: Deadlines) -> None:
    timeout_token = TimeoutToken()
    threading.Timer(0.05, deadlines.cancel, [timeout_token]).start()

    with pytest.raises(Cancelled, match="while it was performed"):
        deadlines.perform(lambda: nap(LIMIT), timeout_token=timeout_token)

    assert timeout_token.interrupted


def test_a_run_cancelled_before_it_begins_is_not_performed(deadlines: Deadlines) -> None:
    timeout_token, performed = TimeoutToken(), []
    deadlines.cancel(timeout_token)

    with pytest.raises(Cancelled, match="before it began"):
        deadlines.perform(lambda: performed.append(1), timeout_token=timeout_token)

    assert not performed
    assert not timeout_token.interrupted


def test_cancelling_what_has_ended_does_nothing(deadlines: Deadlines) -> None:
    timeout_token = TimeoutToken()
    deadlines.perform(lambda: None, timeout_token=timeout_token)

    deadlines.cancel(timeout_token)

    assert deadlines.perform(lambda: 1, timeout_token=TimeoutToken()) == 1
    nothing_is_pending()
