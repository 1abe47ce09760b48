"""A run's leftovers in a reused child do not affect the next run. K.11"""

from __future__ import annotations

import os
import signal

import pytest

from tests.worker.live import live_worker
from worker.children.leftovers import Remains

APP = """
import os, signal, time

class Leaves(Job, isolated=True):
    what: str
    def perform(self):
        if self.what == "alarm": signal.alarm(1)
        if self.what == "timer": signal.setitimer(signal.ITIMER_REAL, 1)
        if self.what == "processor": signal.setitimer(signal.ITIMER_PROF, 0.3)
        if self.what == "handler": signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        if self.what == "folder": os.chdir("/")
        return os.getpid()

class Next(Job, isolated=True):
    sleeps: float
    spins: float
    def perform(self):
        time.sleep(self.sleeps)
        until = time.process_time() + self.spins
        while time.process_time() < until: pass
        return [os.getpid(), os.getcwd() == "/"]
"""
# How long the next run sleeps, or keeps its processor busy: longer than what was left would take to end it.
LEFT = {
    "nothing": (0.0, 0.0),
    "alarm": (1.5, 0.0),
    "timer": (1.5, 0.0),
    "processor": (0.0, 0.5),
    "handler": (0.0, 0.0),
    "folder": (0.0, 0.0),
}


@pytest.mark.slow
def test_changes_that_a_run_makes_in_its_child_process_do_not_reach_the_next_run(tmp_path):
    with live_worker(tmp_path, app=APP, threads=1) as worker:
        for what, (sleeps, spins) in LEFT.items():
            (first,) = worker.enqueue("Leaves", what=what)
            assert worker.wait_until_final([first]) == {"succeeded": 1}, what
            (after,) = worker.enqueue("Next", sleeps=sleeps, spins=spins)

            assert worker.wait_until_final([after]) == {"succeeded": 1}, what
            assert worker.outcomes(after) == ["succeeded"], what
            pid, is_elsewhere = worker.run(after).result
            assert not is_elsewhere
            # The child is reused only if it is unchanged.
            assert (pid == worker.run(first).result) is (what == "nothing"), what


@pytest.mark.timeout(60, method="thread")  # The other method is a timer, which this would stop.
def test_an_unchanged_process_has_no_remains(monkeypatch, tmp_path):
    remains = Remains()

    assert remains.clear() is False
    monkeypatch.chdir(tmp_path)
    assert remains.clear() is True


@pytest.mark.timeout(60, method="thread")  # The other method is a timer, which this would stop.
def test_timers_are_stopped_and_other_changes_are_reported():
    before = signal.signal(signal.SIGALRM, lambda number, frame: None)
    try:
        remains = Remains()
        signal.alarm(60)

        assert remains.clear() is True
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
        assert remains.clear() is False
        umask = os.umask(0o123)
        assert remains.clear() is True
        os.umask(umask)
    finally:
        signal.signal(signal.SIGALRM, before)
