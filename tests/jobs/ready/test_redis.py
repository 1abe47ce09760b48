"""The ready index in a real Valkey: its contract, and what only a server can do to it."""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing

import pytest
import redis

from jobs.clock import new_run_id
from jobs.errors import ConfigurationError
from jobs.ready import ReadyEntry
from jobs.ready.redis import RedisReadyIndex
from tests.contract.ready import SECOND, ReadyContract, entry, now, pairs, take_all
from tests.waiting import wait_until


@pytest.fixture
def index(redis_url):
    index = RedisReadyIndex(redis_url)
    yield index
    index.close()


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def looks_seldom(monkeypatch):
    """What is not noticed at once is noticed a minute later, beyond the limits of these tests."""
    monkeypatch.setattr("jobs.ready.redis.LOOK_EVERY_SECONDS", 60.0)


@pytest.mark.usefixtures("looks_seldom")
class TestRedisReadyIndex(ReadyContract):
    pass


def test_a_fresh_server_is_not_intact(index):
    assert not index.is_intact()
    assert not index.take(["mail"], 1, wait_seconds=0).is_intact


def test_of_many_concurrent_rebuilders_one_fills_the_index(index):
    assert [index.mark_intact() for _ in range(3)] == [True, False, False]


def test_a_wiped_index_is_empty_and_not_intact(index, client):
    index.mark_intact()
    index.add([entry(), entry("other", run_at=now() + SECOND)])
    client.set("somebody-elses", "1")

    index.wipe()

    assert client.keys() == ["somebody-elses"]
    assert not index.is_intact()


def test_a_flush_shows_in_a_busy_taker_too(index, client):
    index.mark_intact()
    assert index.take(["mail"], 1, wait_seconds=0).is_intact
    client.flushall()

    def shows() -> bool:
        index.add([entry()])  # so that every take is answered at once
        return not index.take(["mail"], 1, wait_seconds=0.2).is_intact

    assert wait_until(shows, seconds=60)


def test_a_due_run_does_not_starve_behind_a_steady_stream(index):
    late = entry("mail", priority=-1, run_at=now() + 0.2 * SECOND)
    index.add([late])
    seen = set()

    def comes() -> bool:
        index.add([entry()])
        seen.update(run_id for run_id, _ in index.take(["mail"], 1, wait_seconds=0.2).runs)
        return late.run_id in seen

    assert wait_until(comes, seconds=60)


@pytest.mark.usefixtures("looks_seldom")
def test_an_added_run_wakes_a_blocked_take(index, redis_url):
    index.take(["other", "mail"], 1, wait_seconds=0.01)
    one = entry()
    with closing(RedisReadyIndex(redis_url)) as adder:
        timer = threading.Timer(0.2, adder.add, args=([one],))
        timer.start()
        began = time.monotonic()

        assert index.take(["other", "mail"], 1, wait_seconds=100).runs == pairs(one)
        assert time.monotonic() - began < 50
        timer.join()


@pytest.mark.usefixtures("looks_seldom")
def test_a_blocked_take_notices_a_run_that_is_due_sooner(index, redis_url):
    index.add([entry(run_at=now() + 3600 * SECOND)])
    index.take(["mail"], 5, wait_seconds=0.05)
    sooner = entry(run_at=now() + SECOND)
    with closing(RedisReadyIndex(redis_url)) as adder:
        timer = threading.Timer(0.2, adder.add, args=([sooner],))
        timer.start()
        began = time.monotonic()

        assert index.take(["mail"], 1, wait_seconds=100).runs == pairs(sooner)
        assert time.monotonic() - began < 50
        timer.join()


def test_an_idle_taker_asks_redis_less_than_400_times_a_minute(index, client):
    index.take(["mail", "other"], 8, wait_seconds=0.2)
    client.config_resetstat()
    started = time.monotonic()
    while time.monotonic() < started + 4:
        index.take(["mail", "other"], 8, wait_seconds=0.2)

    minutes = (time.monotonic() - started) / 60
    stats = client.info("commandstats")
    sent = sum(stats[f"cmdstat_{name}"]["calls"] for name in ("bzpopmin", "evalsha"))

    others = {"time", "exists", "zrange", "zpopmin", "config|resetstat"}  # what the script does, and ours
    assert {name.removeprefix("cmdstat_") for name in stats} <= others | {"bzpopmin", "evalsha"}
    assert sent / minutes < 400


def test_a_backlog_is_taken_in_batches_after_one_single_run(index):
    index.take(["mail"], 200, wait_seconds=0.01)
    index.add([entry() for _ in range(500)])

    sizes = []
    while sum(sizes) < 500 and len(sizes) < 80:
        sizes.append(len(index.take(["mail"], 200, wait_seconds=0.2).runs))

    # A server that let us wait for the first seems to be idle: on a machine that stands still there is another.
    single = sizes.count(1)
    assert 1 <= single <= 60
    assert sizes == [1] * single + [200, 200, 100 - single]


def test_clocks_that_disagree_are_allowed_for(index):
    ledgers = now() - 7200 * SECOND
    early, due = ReadyEntry(new_run_id(), "mail", 0, ledgers + SECOND), now() + SECOND
    index.add([early], now=ledgers)

    assert index.take(["mail"], 1, wait_seconds=0).runs == ()
    assert take_all(index, ["mail"], 1) == [early.run_id]
    assert due <= now()


@pytest.mark.parametrize("year", [1, 1969, 2200, 9999])
def test_moments_beyond_the_range_of_a_score_do_no_harm(index, year):
    one = entry(priority=1000, run_at=now().replace(year=year, month=3, day=1))
    index.add([one])

    assert (index.take(["mail"], 1, wait_seconds=0).runs == pairs(one)) == (year < 2000)


@pytest.mark.parametrize(
    "name", ["a b", "a:b", "now:mail", "{x}", "}{", "é✓", "*", "a\nb", "\0", "\ud800", "look", "x" * 5000]
)
def test_hostile_names_of_queues_are_names(index, name):
    mine, others = entry(name), entry("mail")
    index.add([mine, others])

    assert index.take([name], 5, wait_seconds=0.01).runs == pairs(mine)
    assert index.take(["mail"], 5, wait_seconds=0.01).runs == pairs(others)


@pytest.mark.parametrize("member", ["look", "", "not-an-id", "{}", "\0", "é", "f" * 31, "-" + "f" * 31, "9" * 5000])
def test_members_that_are_no_ids_are_dropped(index, client, member):
    good = entry()
    client.zadd("jobs:{ready}:now:mail", {member: -5})
    client.zadd("jobs:{ready}:later:mail", {member: 5})
    index.add([good])

    assert take_all(index, ["mail"], 1) == [good.run_id]
    assert wait_until(lambda: not index.take(["mail"], 5, wait_seconds=0.01).runs, seconds=60)


def test_two_prefixes_do_not_see_each_other(index, redis_url):
    other = RedisReadyIndex(redis_url, prefix="blue*:")
    other.mark_intact()
    other.add([entry()])
    index.wipe()

    assert index.take(["mail"], 1, wait_seconds=0).runs == ()
    assert len(other.take(["mail"], 1, wait_seconds=0).runs) == 1
    other.wipe()
    assert not other.is_intact()


@pytest.mark.parametrize("prefix", ["", "a{b", "}", "x" * 101, "a\nb"])
def test_a_prefix_that_cannot_serve_is_refused(prefix):
    with pytest.raises(ConfigurationError, match="prefix"):
        RedisReadyIndex("redis://localhost", prefix=prefix)


def test_a_forked_child_has_connections_of_its_own(index):
    index.add([entry() for _ in range(200)])
    index.take(["mail"], 1, wait_seconds=0)

    child = os.fork()
    if child == 0:
        taken = take_all(index, ["mail"], 50)
        os._exit(0 if len(taken) >= 50 else 1)
    mine = [index.take(["mail"], 1, wait_seconds=0).runs for _ in range(50)]

    assert os.waitpid(child, 0)[1] == 0
    assert all(len(runs) == 1 for runs in mine)
