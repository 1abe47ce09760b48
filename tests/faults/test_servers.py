"""F2, F3, F4, F13: the servers are wiped, killed, frozen and full while runs come in."""

from __future__ import annotations

import signal
import time
from datetime import timedelta

import pytest
import redis

from jobs.errors import JobsError
from tests.faults.processes import until
from tests.faults.work import Effect

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.mark.short
def test_f2_redis_is_flushed_and_killed_three_times_each(make_fleet, load, valkey):
    fleet = make_fleet()
    back = []

    with fleet.under_load():
        for _ in range(3):
            time.sleep(load.seconds / 8)
            with redis.Redis.from_url(valkey.url) as client:
                client.flushall()
            fleet.fault()
            wiped_at = time.monotonic()
            assert until(lambda: is_intact(fleet), seconds=load.within(5))
            back.append(time.monotonic() - wiped_at)
        for _ in range(3):
            time.sleep(load.seconds / 8)
            valkey.stop(signal.SIGKILL)
            valkey.start()
            fleet.fault()

    fleet.check("F2", drained=fleet.drained(), back_seconds=round(max(back), 2))
    assert max(back) < load.within(2)
    assert fleet.stop() == 0


@pytest.mark.short
def test_f3_postgres_is_stopped_at_once_and_started_twice(make_fleet, load, postgres):
    fleet = make_fleet()
    back = []

    with fleet.under_load():
        for _ in range(2):
            time.sleep(load.seconds / 3)
            postgres.stop(signal.SIGQUIT)
            time.sleep(1)
            postgres.start()
            fleet.fault()
            started_at = time.monotonic()
            done = effects(fleet)
            # On a slow machine all may be done before this looks for the first time.
            assert until(lambda done=done: effects(fleet) > done or done >= load.runs, seconds=load.within(10)), done
            back.append(time.monotonic() - started_at)

    fleet.check("F3", drained=fleet.drained(), back_seconds=round(max(back), 2), extra_allowed=2 * 16)
    assert max(back) < load.within(5)
    assert fleet.stop() == 0


def test_f4_redis_is_frozen_while_delayed_runs_wait(make_fleet, load, valkey, is_full):
    fleet = make_fleet()
    before = set(fleet.workers())
    delayed = 500 if is_full else 100
    freezes = (5, 25) if is_full else (3,)
    for n in range(delayed):
        Effect(n=load.runs + n, seed=load.seed).enqueue(delay=timedelta(seconds=2 + 5 * load.rng.random()))

    with fleet.under_load():
        for seconds in freezes:
            valkey.send(signal.SIGSTOP)
            time.sleep(seconds)
            valkey.send(signal.SIGCONT)
            fleet.fault()
            time.sleep(2)

    load.runs += delayed
    fleet.check("F4", drained=fleet.drained(), delayed=delayed)
    assert set(fleet.workers()) == before, "a process ended"
    assert fleet.stop() == 0


def test_f13_redis_at_its_memory_limit_loses_nothing(make_fleet, load, valkey):
    fleet = make_fleet()
    slowest = 0.0
    try:
        with redis.Redis.from_url(valkey.url) as client, fleet.under_load():
            time.sleep(load.seconds / 4)
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", 1)
            for n in range(10):
                started = time.monotonic()
                Effect(n=load.runs + n, seed=load.seed).enqueue()
                slowest = max(slowest, time.monotonic() - started)
            time.sleep(load.seconds / 4)
            client.config_set("maxmemory", 0)
            fleet.fault()
    finally:
        with redis.Redis.from_url(valkey.url) as client:
            client.config_set("maxmemory", 0)

    load.runs += 10
    fleet.check("F13", drained=fleet.drained(), slowest_enqueue_seconds=round(slowest, 3))
    assert slowest < load.within(2)
    assert fleet.stop() == 0


def is_intact(fleet) -> bool:
    """Whether Redis has its mark; False while it is thought to be down."""
    try:
        return bool(fleet.app.ready.is_intact())
    except JobsError:
        return False


def effects(fleet) -> int:
    return int(fleet.value("select count(*) from effects"))
