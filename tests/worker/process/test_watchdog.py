from __future__ import annotations

import threading

import pytest

from worker.process.watchdog import Watchdog


class Clock:
    def __init__(self):
        self.at = 100.0

    def monotonic(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


def test_threads_that_make_progress_are_healthy(clock):
    watchdog = Watchdog(clock, lambda: [threading.current_thread()], limit_seconds=10)
    watchdog.watch("fetcher", lambda: 95.0)

    assert watchdog.fault() is None


def test_a_dead_thread_is_named(clock):
    dead = threading.Thread(target=lambda: None, name="jobs-settler")
    dead.start()
    dead.join()

    assert Watchdog(clock, lambda: [dead], limit_seconds=10).fault() == "the thread jobs-settler has died"


def test_a_heartbeat_without_progress_is_named_after_its_limit(clock):
    watchdog = Watchdog(clock, list, limit_seconds=10)
    watchdog.watch("heartbeat", lambda: 89.0)

    assert watchdog.fault() == "the heartbeat has made no progress for 11 s"


def test_an_idle_thread_may_be_silent(clock):
    watchdog = Watchdog(clock, list, limit_seconds=10)
    watchdog.watch("settler", lambda: None)

    assert watchdog.fault() is None
