"""Code that is interrupted in a tight loop under a lock releases the lock."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

import pytest

from jobs.errors import TimeLimitExceeded
from worker.timeouts.deadline import Deadlines, TimeoutToken
from worker.timeouts.unsafe_bytecode import LANDS_LATE, unsafe_instructions

LONG_SECONDS = 0.05 if LANDS_LATE else 0.5
"""How long a loop goes on that is not interrupted."""


def loop_with_try(on: list[int]) -> None:
    while on:
        try:
            on[0] += 1
        except KeyError:
            pass


def loop_alone(on: list[int]) -> None:
    while on:
        on[0] += 1


def for_loop_in_try(on: list[int]) -> None:
    try:
        for _ in iter(int, 1):
            on[0] += 1
    finally:
        on.clear()


def while_in_lock(on: list[int], lock: threading.Lock) -> None:
    with lock:
        while on:
            on[0] += 1


@pytest.mark.parametrize("loop", [loop_with_try, loop_alone, for_loop_in_try])
def test_an_ordinary_loop_can_be_interrupted(loop: Callable[..., None]) -> None:
    assert unsafe_instructions(loop.__code__) == frozenset()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11 has the jump in its table of handlers")
def test_the_jump_of_a_while_loop_under_a_lock_is_unsafe() -> None:
    assert unsafe_instructions(while_in_lock.__code__)


def test_a_call_between_two_others_can_be_interrupted_under_a_lock() -> None:
    def calls(lock: threading.Lock) -> None:
        with lock:
            while True:
                time.sleep(0.001)
                time.sleep(0.001)

    deadlines, lock = Deadlines(), threading.Lock()
    with pytest.raises(TimeLimitExceeded):
        deadlines.perform(lambda: calls(lock), timeout_token=TimeoutToken(), soft_seconds=0.02, hard_seconds=10)
    deadlines.stop()

    assert lock.acquire(timeout=30)


def another_thread_can_take(lock: threading.Lock) -> bool:
    taken: list[bool] = []

    def take() -> None:
        taken.append(lock.acquire(timeout=30))
        if taken[0]:
            lock.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return taken[0]


@pytest.mark.parametrize("kind", [threading.Lock, threading.RLock, threading.Condition, threading.Semaphore])
def test_a_lock_around_a_tight_loop_is_always_released(kind: Callable[[], threading.Lock]) -> None:
    deadlines, lock, now = Deadlines(), kind(), time.monotonic

    def loop_in_lock(ends_at: float) -> None:
        with lock:
            going = True
            while going:
                going = now() < ends_at

    def lock_in_loop(ends_at: float) -> None:
        while now() < ends_at:
            with lock:
                now()

    landed = 0
    for job in [loop_in_lock, lock_in_loop] * 20:
        ends_at = now() + LONG_SECONDS
        try:
            deadlines.perform(lambda: job(ends_at), timeout_token=TimeoutToken(), soft_seconds=0.005)  # noqa: B023
        except TimeLimitExceeded:
            landed += 1
        assert another_thread_can_take(lock)
    deadlines.stop()

    assert landed > 0
    assert LANDS_LATE or landed >= 20
