"""The guard before a ready index: nobody waits for one that is down, and one that only seems to be up is left alone."""

from __future__ import annotations

import time
from contextlib import closing

import pytest

from jobs.clock import SystemClock
from jobs.errors import ServiceDown
from jobs.ready.guard import GuardedIndex
from jobs.ready.protocol import ReadyBatch
from tests.waiting import wait_until


class Index:
    """Answers questions; takes as it is told."""

    def __init__(self) -> None:
        self.takes = 0
        self.is_up = self.serves = True

    def take(self, queues, count, *, wait_seconds):
        self.takes += 1
        if not self.is_up or not self.serves:
            raise ServiceDown("It is down.", hint="Wait.")
        return ReadyBatch((), True)

    def is_intact(self):
        if not self.is_up:
            raise ServiceDown("It is down.", hint="Wait.")
        return True

    def close(self):
        pass


@pytest.fixture
def index():
    return Index()


@pytest.fixture
def guarded(index):
    with closing(GuardedIndex(index, SystemClock())) as it:
        yield it


def take(guarded):
    return guarded.take(["mail"], 1, wait_seconds=0)


def refused(guarded):
    with pytest.raises(ServiceDown, match="It is down"):
        take(guarded)


def serves(guarded):
    try:
        return bool(take(guarded))
    except ServiceDown:
        return False


def test_a_ready_index_that_is_down_is_not_called_until_it_answers_again(guarded, index):
    index.is_up = False
    for _ in range(50):
        refused(guarded)
    assert index.takes == 1

    index.is_up = True

    assert wait_until(lambda: serves(guarded), seconds=60)


def test_an_index_that_answers_probes_but_fails_calls_is_probed_less_and_less_often(guarded, index, caplog):
    caplog.set_level("INFO", "jobs.ready")
    index.serves = False
    until = time.monotonic() + 3
    while time.monotonic() < until:
        refused(guarded)
        time.sleep(0.005)

    assert index.takes <= 6
    assert not caplog.records

    index.serves = True

    assert wait_until(lambda: serves(guarded), seconds=60)
    assert [record.message for record in caplog.records] == ["Ready index answers again"]


def test_a_probe_that_fails_with_an_unknown_error_is_repeated(guarded, index):
    index.is_up = False
    refused(guarded)
    asked = []

    def is_intact():
        asked.append(1)
        if len(asked) == 1:
            raise RuntimeError("nobody thought of this")
        return True

    index.is_intact = is_intact
    index.is_up = True

    assert wait_until(lambda: serves(guarded), seconds=60)
    assert len(asked) == 2
