"""F11: between us and each server stands what drops, delays, duplicates and cuts replies, or forgets connections."""

from __future__ import annotations

import time
from contextlib import closing
from random import Random

import pytest

from tests.faults.proxy import FAULTS, FaultyProxy

pytestmark = [pytest.mark.faults, pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(400)]
SENDERS = 16


def test_f11_replies_are_dropped_delayed_doubled_and_cut(make_fleet, load, postgres, valkey, is_full):
    load.seconds = 120.0 if is_full else 12.0
    chance = 0.01 if is_full else 0.05
    url = postgres.create_database()
    try:
        with (
            closing(FaultyProxy(url, Random(load.seed), chance=chance)) as to_ledger,
            closing(FaultyProxy(valkey.url, Random(load.seed + 1), chance=chance)) as to_redis,
        ):
            fleet = make_fleet(to_ledger.url, redis_url=to_redis.url, direct_url=url)
            # One sender would wait for its own lost replies most of the time, and be late with the rest.
            with fleet.under_load(senders=SENDERS):
                to_ledger.is_faulty = to_redis.is_faulty = True
                time.sleep(load.seconds)
            to_ledger.is_faulty = to_redis.is_faulty = False
            fleet.fault()

            drained = fleet.drained()
            made = {name: to_ledger.made[name] + to_redis.made[name] for name in FAULTS}
            # Each may have made one process lose what it performed.
            fleet.check("F11", drained=drained, extra_allowed=sum(made.values()) * load.threads, made=made)
            assert all(made[name] for name in FAULTS) or not is_full
            assert fleet.stop() == 0
            fleet.close()
    finally:
        postgres.drop_database(url)


def test_f11_all_connections_are_forgotten_on_the_way_three_times(make_fleet, load, postgres, valkey, is_full):
    load.runs, load.seconds = (4_000, 30.0) if is_full else (load.runs, 6.0)
    url = postgres.create_database()
    try:
        with (
            closing(FaultyProxy(url, Random(load.seed))) as to_ledger,
            closing(FaultyProxy(valkey.url, Random(load.seed + 1))) as to_redis,
        ):
            fleet = make_fleet(to_ledger.url, redis_url=to_redis.url, direct_url=url, statement_timeout=3, lease=12)
            with fleet.under_load():
                for _ in range(3):
                    time.sleep(load.seconds / 4)
                    to_ledger.forget()
                    to_redis.forget()
                    fleet.fault()

            drained = fleet.drained()
            busy = 3 * load.processes * load.threads
            fleet.check("F11 (forgotten)", drained=drained, extra_allowed=busy, forgotten=3)
            assert fleet.value("select count(*) from job_attempts where outcome in ('crashed', 'abandoned')") == 0
            assert fleet.stop() == 0
            fleet.close()
    finally:
        postgres.drop_database(url)
