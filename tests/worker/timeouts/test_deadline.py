"""Limits and cancellation land in the job or not at all, and each ends an attempt once."""

from __future__ import annotations

import contextlib
import logging
import queue
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from jobs.errors import Cancelled, ConfigurationError, TimeLimitExceeded
from worker.timeouts import deadline, interrupt
from worker.timeouts.deadline import Deadlines, TimeoutToken, TooLate

LIMIT = 10.0  # seconds until a test gives up waiting for a fact


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


def spin(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def spin_until(fact: threading.Event) -> None:
    """Spin without touching ``threading`` in Python: ``_flag`` is what ``is_set`` reads."""
    until = time.monotonic() + LIMIT
    while not fact._flag and time.monotonic() < until:  # type: ignore[attr-defined]
        pass


def nap(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.001)


def nap_five_seconds() -> None:
    for _ in range(5000):
        time.sleep(0.001)


def wait_then_nap(seconds: float) -> None:
    threading.Event().wait(0.2)
    nap(seconds)


def nothing_is_pending() -> None:
    """An interrupt still under way would arrive in here and fail the test."""
    for _ in range(1000):
        time.sleep(0)


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
    lateness = []
    for _ in range(5):
        began = time.monotonic()
        with pytest.raises(TimeLimitExceeded):
            deadlines.perform(lambda: nap(LIMIT), timeout_token=TimeoutToken(), soft_seconds=0.01)
        lateness.append(time.monotonic() - began - 0.01)

    assert min(lateness) >= 0
    assert min(lateness) < 0.05


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

    assert shared._cond.acquire(timeout=1)  # type: ignore[attr-defined]


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


def stubborn() -> None:
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        with contextlib.suppress(BaseException):
            spin(0.2)


@pytest.mark.parametrize("job", [lambda: time.sleep(0.6), stubborn], ids=["one long sleep", "swallows all"])
def test_a_hard_limit_fires_once_and_what_the_job_then_returns_is_too_late(
    deadlines: Deadlines, job: Callable[[], None]
) -> None:
    fired: list[tuple[float, str]] = []
    timeout_token = TimeoutToken(on_hard=lambda: fired.append((time.monotonic(), threading.current_thread().name)))
    began = time.monotonic()

    with pytest.raises(TooLate):
        deadlines.perform(job, timeout_token=timeout_token, soft_seconds=0.05, hard_seconds=0.15)

    assert len(fired) == 1
    at, thread = fired[0]
    assert 0.15 <= at - began < 0.6
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
    with pytest.raises(TooLate):
        deadlines.perform(
            lambda: time.sleep(0.1),
            timeout_token=TimeoutToken(on_hard=lambda: 1 / 0),
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
        threading.Timer(0.05, ended.set).start()
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
        threading.Timer(0.05, ended.set).start()
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
        threading.Timer(0.05, ended.set).start()
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


def test_an_interrupt_is_put_off_while_the_job_is_in_the_log(deadlines: Deadlines) -> None:
    in_handler, out_of_it = [], []

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            in_handler.append(True)
            spin(0.1)
            out_of_it.append(True)

    log = logging.Logger("slow")
    log.addHandler(Slow())

    def perform() -> None:
        log.warning("x")
        spin(LIMIT)

    with pytest.raises(TimeLimitExceeded):
        deadlines.perform(perform, timeout_token=TimeoutToken(), soft_seconds=0.02)

    assert in_handler == out_of_it == [True]


def test_an_interrupt_that_is_put_off_for_too_long_becomes_a_hard_limit(deadlines: Deadlines) -> None:
    fired, empty = [], queue.Queue[int]()

    def perform() -> None:
        with contextlib.suppress(queue.Empty):
            empty.get(timeout=0.3)

    with pytest.raises(TooLate):
        deadlines.perform(
            perform,
            timeout_token=TimeoutToken(on_hard=lambda: fired.append(1)),
            soft_seconds=0.02,
            hard_seconds=0.1,
        )

    assert fired == [1]


def test_our_own_code_is_not_interrupted_but_code_of_the_job_that_it_calls_is(deadlines: Deadlines) -> None:
    ours: dict[str, object] = {"__name__": "jobs.run", "time": time, "spin": spin, "done": []}
    exec(
        "def busy():\n"
        "    until = time.monotonic() + 0.1\n"
        "    while time.monotonic() < until: pass\n"
        "    done.append('busy')\n"
        "def once(fn):\n"
        "    fn()\n"
        "    done.append('once')\n",
        ours,
    )

    def perform() -> None:
        ours["busy"]()  # type: ignore[operator]
        ours["once"](lambda: spin(LIMIT))  # type: ignore[operator]

    with pytest.raises(TimeLimitExceeded):
        deadlines.perform(perform, timeout_token=TimeoutToken(), soft_seconds=0.02)

    assert ours["done"] == ["busy"]


def test_a_job_that_is_ours_is_interrupted(deadlines: Deadlines) -> None:
    ours: dict[str, object] = {"__name__": "jobs.demo", "time": time}
    exec("def perform():\n    until = time.monotonic() + 10\n    while time.monotonic() < until: pass\n", ours)

    with pytest.raises(TimeLimitExceeded):
        deadlines.perform(ours["perform"], timeout_token=TimeoutToken(), soft_seconds=0.02)  # type: ignore[arg-type]


def test_a_job_under_a_context_manager_as_decorator_is_interrupted(deadlines: Deadlines) -> None:
    @contextlib.contextmanager
    def timed() -> Iterator[None]:
        yield

    with pytest.raises(TimeLimitExceeded):
        deadlines.perform(timed()(lambda: spin(LIMIT)), timeout_token=TimeoutToken(), soft_seconds=0.02)


def test_limits_are_met_while_a_test_freezes_time() -> None:
    freezegun = pytest.importorskip("freezegun")
    with freezegun.freeze_time("2026-01-01"):
        deadlines = Deadlines()
        with pytest.raises(TimeLimitExceeded):
            deadlines.perform(nap_five_seconds, timeout_token=TimeoutToken(), soft_seconds=0.02)
    deadlines.stop()


def test_a_test_may_hand_in_its_own_time() -> None:
    now = [100.0]
    deadlines = Deadlines(monotonic=lambda: now[0])
    fired: list[float] = []

    def perform() -> None:
        now[0] = 129.9
        deadlines.look()
        assert fired == []
        now[0] = 130.0
        deadlines.look()

    with pytest.raises(TooLate):
        deadlines.perform(perform, timeout_token=TimeoutToken(lambda: fired.append(now[0])), hard_seconds=30)
    assert fired == [130.0]
    deadlines.stop()


def test_an_idle_watchdog_uses_no_time(deadlines: Deadlines) -> None:
    looks = []
    look = deadlines.look
    deadlines.look = lambda: looks.append(1) or look()  # type: ignore[method-assign,func-returns-value]
    for _ in range(1000):
        deadlines.perform(lambda: None, timeout_token=TimeoutToken(), soft_seconds=600, hard_seconds=630)
    seen = len(looks)

    time.sleep(0.5)  # nothing is waited for: that nothing happens is the fact

    assert seen <= 10
    assert len(looks) <= seen + 1


class Node:
    itself: object = None


class Grave:
    def __del__(self) -> None:
        spin(0.002)


def test_an_interrupt_that_python_swallows_in_a_callback_is_sent_anew(deadlines: Deadlines) -> None:
    references: list[weakref.ref[Node]] = []

    def callback(reference: weakref.ref[Node]) -> None:
        spin(0.002)

    def in_callbacks() -> None:
        while True:
            node = Node()
            references.append(weakref.ref(node, callback))
            del node
            references.clear()
            spin(0.002)

    def in_finalizers() -> None:
        while True:
            Grave()
            spin(0.002)

    for _ in range(10):
        for job in (in_callbacks, in_finalizers):
            timeout_token = TimeoutToken()
            with pytest.raises(TimeLimitExceeded):
                deadlines.perform(job, timeout_token=timeout_token, soft_seconds=0.005, hard_seconds=LIMIT)
            assert timeout_token.interrupted
    nothing_is_pending()


def test_other_errors_that_python_discards_are_reported_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: reported.append(args.exc_type))
    hook = sys.unraisablehook

    class Bad:
        def __del__(self) -> None:
            raise KeyError

    deadlines = Deadlines()
    deadlines.start()
    deadlines.perform(lambda: Bad() and None, timeout_token=TimeoutToken(), soft_seconds=LIMIT)
    deadlines.stop()

    assert reported == [KeyError]
    assert sys.unraisablehook is hook


def test_a_timeout_token_is_for_one_perform(deadlines: Deadlines) -> None:
    timeout_token = TimeoutToken()
    deadlines.perform(lambda: None, timeout_token=timeout_token)

    with pytest.raises(RuntimeError, match="one perform"):
        deadlines.perform(lambda: None, timeout_token=timeout_token)


def test_a_thread_performs_one_job_at_a_time(deadlines: Deadlines) -> None:
    with pytest.raises(RuntimeError, match="one job at a time"):
        deadlines.perform(
            lambda: deadlines.perform(lambda: None, timeout_token=TimeoutToken()), timeout_token=TimeoutToken()
        )


def test_another_exception_during_the_handover_leaves_no_interrupt_behind(
    deadlines: Deadlines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "_wake", lambda at: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        deadlines.perform(lambda: None, timeout_token=TimeoutToken(), soft_seconds=1)
    monkeypatch.undo()

    assert deadlines.perform(lambda: 1, timeout_token=TimeoutToken(), soft_seconds=1) == 1


def test_another_python_is_refused_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.implementation, "name", "pypy")

    with pytest.raises(ConfigurationError, match="need CPython"):
        Deadlines()


def test_the_waiting_instructions_of_the_standard_library_are_found() -> None:
    assert len(interrupt._WAITS) >= 3
    assert deadline._PERFORM is Deadlines.perform.__code__
