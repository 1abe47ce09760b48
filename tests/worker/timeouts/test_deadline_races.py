"""A limit and the end of a job at the same moment, and hard limits: one of the two counts, once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from jobs.errors import TimeLimitExceeded
from tests.worker.timeouts.slow_calls import LIMIT, nap, nothing_is_pending, spin, spin_until
from tests.worker.timeouts.watched import deadlines as deadlines
from tests.worker.timeouts.watched import swallow
from worker.timeouts.deadline import Deadlines, TimeoutToken, TooLate

RETURNS_IN = 0.5
"""Seconds in which a job returns whose last statement starts a timer, on any machine."""


@pytest.fixture
def stepping() -> Iterator[Callable[[Callable[[str], None]], Deadlines]]:
    made: list[Deadlines] = []

    def make(step: Callable[[str], None]) -> Deadlines:
        made.append(Deadlines(step=step))
        return made[-1]

    yield make
    for one in made:
        one.stop()


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
