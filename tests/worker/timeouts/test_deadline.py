"""Limits and cancellation land in the job or not at all, and each ends an attempt once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from jobs.errors import Cancelled, TimeLimitExceeded
from tests.worker.timeouts.slow_calls import (
    LIMIT,
    nap,
    nothing_is_pending,
    spin,
    spin_until,
    wait_then_nap,
)
from worker.timeouts.deadline import Deadlines, TimeoutToken, TooLate

RETURNS_IN = 0.5
"""Seconds in which a job returns whose last statement starts a timer, on any machine."""


@pytest.fixture
def deadlines() -> Iterator[Deadlines]:
    made = Deadlines()
    yield made
    made.stop()


@pytest.fixture
def stepping() -> Iterator[Callable[[Callable[[str], None]], Deadlines]]:
    made: list[Deadlines] = []

    def make(step: Callable[[str], None]) -> Deadlines:
        made.append(Deadlines(step=step))
        return made[-1]

    yield make
    for one in made:
        one.stop()


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


def swallow() -> str:
    with contextlib.suppress(BaseException):
        spin(LIMIT)
    return "finished all the same"


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


def one_long_call(is_fired: threading.Lock) -> None:
    is_fired.acquire(timeout=LIMIT)


def stubborn(is_fired: threading.Lock) -> None:
    while is_fired.locked():
        with contextlib.suppress(BaseException):
            spin(0.2)


@pytest.mark.parametrize("job", [one_long_call, stubborn])
def test_a_hard_limit_fires_once_and_what_the_job_then_returns_is_too_late(
    deadlines: Deadlines, job: Callable[[threading.Lock], None]
) -> None:
    fired: list[tuple[float, str]] = []
    is_fired = threading.Lock()
    is_fired.acquire()

    def on_hard() -> None:
        fired.append((time.monotonic(), threading.current_thread().name))
        is_fired.release()

    timeout_token = TimeoutToken(on_hard=on_hard)
    began = time.monotonic()

    with pytest.raises(TooLate):
        deadlines.perform(lambda: job(is_fired), timeout_token=timeout_token, soft_seconds=0.05, hard_seconds=0.15)

    assert len(fired) == 1
    at, thread = fired[0]
    assert at - began >= 0.15
    assert thread == "jobs-deadlines"
    nothing_is_pending()


def test_a_hard_limit_fires_for_a_loop_without_end(deadlines: Deadlines) -> None:
    fired, release, ended = threading.Event(), threading.Event(), []

    def forever() -> None:
        while not release._flag:  # type: ignore[attr-defined]
            with contextlib.suppress(BaseException):
                while not release._flag:  # type: ignore[attr-defined]
                    pass

    def body() -> None:
        try:
            deadlines.perform(
                forever, timeout_token=TimeoutToken(on_hard=fired.set), soft_seconds=0.02, hard_seconds=0.1
            )
        except BaseException as error:
            ended.append(type(error))

    thread = threading.Thread(target=body)
    thread.start()
    assert fired.wait(LIMIT)
    release.set()
    thread.join(LIMIT)

    assert ended == [TooLate]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_hard_limit_whose_handler_fails_does_not_stop_the_watchdog(
    deadlines: Deadlines, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(args.exc_type))
    is_fired = threading.Event()

    def on_hard() -> None:
        is_fired.set()
        _ = 1 / 0

    with pytest.raises(TooLate):
        deadlines.perform(
            lambda: is_fired.wait(LIMIT),
            timeout_token=TimeoutToken(on_hard=on_hard),
            soft_seconds=None,
            hard_seconds=0.02,
        )

    with pytest.raises(TimeLimitExceeded):
        deadlines.perform(lambda: nap(LIMIT), timeout_token=TimeoutToken(), soft_seconds=0.02)

    assert reported == [ZeroDivisionError]


def test_a_job_that_ends_between_the_decision_and_the_sending_counts(
    stepping: Callable[[Callable[[str], None]], Deadlines],
) -> None:
    won, ended = threading.Event(), threading.Event()

    def step(name: str) -> None:
        if name == "won":
            won.set()
            assert ended.wait(LIMIT)

    deadlines, timeout_token = stepping(step), TimeoutToken()

    def perform() -> str:
        spin_until(won)
        threading.Timer(RETURNS_IN, ended.set).start()
        return "done"

    assert deadlines.perform(perform, timeout_token=timeout_token, soft_seconds=0.01) == "done"
    assert not timeout_token.interrupted
    nothing_is_pending()


def test_an_interrupt_sent_after_the_job_ended_is_waited_for_and_its_result_counts(
    stepping: Callable[[Callable[[str], None]], Deadlines],
) -> None:
    sending, ended = threading.Event(), threading.Event()

    def step(name: str) -> None:
        if name == "sending":
            sending.set()
            assert ended.wait(LIMIT)

    deadlines, timeout_token = stepping(step), TimeoutToken()

    def perform() -> str:
        spin_until(sending)
        threading.Timer(RETURNS_IN, ended.set).start()
        return "done"

    assert deadlines.perform(perform, timeout_token=timeout_token, soft_seconds=0.01) == "done"
    assert timeout_token.sent is TimeLimitExceeded
    assert not timeout_token.interrupted
    nothing_is_pending()


def test_an_error_raised_before_a_late_interrupt_counts(
    stepping: Callable[[Callable[[str], None]], Deadlines],
) -> None:
    sending, ended = threading.Event(), threading.Event()

    def step(name: str) -> None:
        if name == "sending":
            sending.set()
            assert ended.wait(LIMIT)

    deadlines = stepping(step)

    def perform() -> None:
        spin_until(sending)
        threading.Timer(RETURNS_IN, ended.set).start()
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        deadlines.perform(perform, timeout_token=TimeoutToken(), soft_seconds=0.01)
    nothing_is_pending()


def test_a_watchdog_that_is_slow_to_say_that_it_sent_loses_nothing(
    stepping: Callable[[Callable[[str], None]], Deadlines],
) -> None:
    def slow_to_say(name: str) -> None:
        if name == "sent":
            time.sleep(0.05)

    deadlines, timeout_token = stepping(slow_to_say), TimeoutToken()

    with pytest.raises(TimeLimitExceeded):
        deadlines.perform(swallow, timeout_token=timeout_token, soft_seconds=0.01)

    assert timeout_token.interrupted
    nothing_is_pending()
