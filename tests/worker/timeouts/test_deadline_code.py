"""Time limits and the code that they meet: our own, frozen clocks, errors that Python discards, unsafe instructions."""

from __future__ import annotations

import contextlib
import logging
import queue
import sys
import time
import weakref
from collections.abc import Iterator

import pytest

from jobs.errors import ConfigurationError, TimeLimitExceeded
from tests.worker.timeouts.slow_calls import (
    LIMIT,
    nap_five_seconds,
    nothing_is_pending,
    spin,
)
from worker.timeouts import deadline, interrupt
from worker.timeouts.deadline import Deadlines, TimeoutToken, TooLate


@pytest.fixture
def deadlines() -> Iterator[Deadlines]:
    made = Deadlines()
    yield made
    made.stop()


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
            empty.get(timeout=LIMIT)

    def on_hard() -> None:
        fired.append(1)
        empty.put(1)

    with pytest.raises(TooLate):
        deadlines.perform(
            perform,
            timeout_token=TimeoutToken(on_hard=on_hard),
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
