"""F1, F2, F3, F9 with every run under a limit by key and under a rate: neither is ever exceeded, and nothing stays
parked."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from sqlalchemy import text

from tests.faults.fleet import Fleet
from tests.faults.processes import until
from tests.faults.test_kills import kill_every_second
from tests.faults.work import BURST, MOST, RATE, LimitedEffect

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(300)]

POLL_SECONDS = 0.002
LIVE = text(
    "select (arguments->>'n')::int % 50, count(*) from job_runs where state = 'running' and kind = 'LimitedEffect' "
    "and lease_until > statement_timestamp() group by 1"
)
CLAIMED = "select extract(epoch from started_at)::float8 from job_runs where started_at is not null order by 1"
"""When the last attempt of each run was claimed, by the ledger's clock."""


class Watch:
    """Counts the live leases of each key, every two milliseconds, whatever the server does meanwhile."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")
        self.most: Counter[int] = Counter()
        self.looks = 0

    def _run(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            try:
                with self._fleet.engine.connect() as connection:
                    while not self._over.wait(POLL_SECONDS):
                        for account, count in connection.execute(LIVE):
                            self.most[account] = max(self.most[account], count)
                        connection.rollback()
                        self.looks += 1
            except Exception:
                self._over.wait(0.05)

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join()


def check(fleet: Fleet, watch: Watch, name: str, **how: Any) -> None:
    drained = fleet.drained()
    moments = [row[0] for row in fleet.rows(CLAIMED)]
    second = max(
        sum(1 for at in moments[n : n + RATE + BURST + 2] if at < first + 1) for n, first in enumerate(moments)
    )
    fleet.check(
        f"{name} (limits)", drained=drained, limit_most=max(watch.most.values()), looks=watch.looks, rate_most=second,
        **how,
    )  # fmt: skip
    assert watch.most, "nothing was seen to perform"
    assert max(watch.most.values()) <= MOST
    assert second <= RATE + BURST or not fleet.load.is_timed
    assert fleet.value("select count(*) from job_runs where hold is not null") == 0
    # Slots and reservations of attempts that faults ended go with the sweep.
    assert until(lambda: fleet.value("select count(*) from job_limit_slots") == 0, seconds=fleet.load.within(20))
    assert fleet.stop() == 0


@pytest.mark.alone
@pytest.mark.short
def test_f1_with_limits_and_rates_a_worker_process_is_killed_every_second(make_fleet, load):
    fleet = make_fleet(job=LimitedEffect)
    watch = Watch(fleet)

    with watch.running(), fleet.under_load():
        kill_every_second(fleet, load.seconds)

    check(fleet, watch, "F1")


def test_f2_with_limits_and_rates_redis_is_flushed_and_killed_three_times_each(make_fleet, load, valkey):
    fleet = make_fleet(job=LimitedEffect)
    watch = Watch(fleet)

    with watch.running(), fleet.under_load():
        for _ in range(3):
            time.sleep(load.seconds / 8)
            with redis.Redis.from_url(valkey.url) as client:
                client.flushall()
            fleet.fault()
        for _ in range(3):
            time.sleep(load.seconds / 8)
            valkey.stop(signal.SIGKILL)
            valkey.start()
            fleet.fault()

    check(fleet, watch, "F2")


def test_f3_with_limits_and_rates_postgres_is_stopped_at_once_and_started_twice(make_fleet, load, postgres):
    fleet = make_fleet(job=LimitedEffect)
    watch = Watch(fleet)

    with watch.running(), fleet.under_load():
        for _ in range(2):
            time.sleep(load.seconds / 3)
            postgres.stop(signal.SIGQUIT)
            time.sleep(1)
            postgres.start()
            fleet.fault()

    check(fleet, watch, "F3", extra_allowed=2 * 16)


@pytest.mark.alone
def test_f9_with_limits_and_rates_kills_wipes_stops_freezes_and_zombies_together(make_fleet, load, postgres, valkey):
    """The server is away for longer than a lease once: leases that are renewed after it still count."""
    fleet = make_fleet(job=LimitedEffect, lease=5)
    watch = Watch(fleet)
    over = threading.Event()

    def every(seconds: float, do: Any) -> threading.Thread:
        def go() -> None:
            while not over.wait(seconds):
                do()

        return threading.Thread(target=go)

    def flush() -> None:
        with redis.Redis.from_url(valkey.url, socket_timeout=1) as client:
            client.flushall()
        fleet.fault()

    def stop_postgres(seconds: float = 0.5) -> None:
        postgres.stop(signal.SIGQUIT)
        time.sleep(seconds)
        postgres.start()
        fleet.fault()

    part = load.seconds / 12
    threads = [
        every(1.0, fleet.kill_one),
        every(part * 3, flush),
        every(part * 5, stop_postgres),
        every(part * 2.5, lambda: fleet.freeze_one(7)),
    ]
    with watch.running(), fleet.under_load():
        for thread in threads:
            thread.start()
        time.sleep(load.seconds)
        over.set()
        for thread in threads:
            thread.join()
        stop_postgres(6.0)

    check(fleet, watch, "F9", extra_allowed=80)
