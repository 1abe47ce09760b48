"""The ready index when its server is frozen, gone, full, or refuses: a typed error in time, then recovery."""

from __future__ import annotations

import signal
import time
from contextlib import closing

import pytest
import redis

from jobs.errors import ServiceDown
from jobs.ready.redis import RedisReadyIndex
from tests.contract.ready import SECOND, entry, now, pairs, take_all
from tests.server_process import free_port
from tests.servers import RedisServer

CALLS = {
    "add": lambda index: index.add([entry()]),
    "take": lambda index: index.take(["mail"], 5, wait_seconds=0.2),
    "take at once": lambda index: index.take(["mail"], 5, wait_seconds=0),
    "forget": lambda index: index.forget(pairs(entry())),
    "is_intact": lambda index: index.is_intact(),
    "mark_intact": lambda index: index.mark_intact(),
    "wipe": lambda index: index.wipe(),
}


@pytest.fixture
def index(redis_url):
    with closing(RedisReadyIndex(redis_url)) as index:
        index.take(["mail"], 1, wait_seconds=0)
        yield index


@pytest.fixture(scope="module")
def full_server():
    """A server of its own, for its settings are changed."""
    with closing(RedisServer("--maxmemory", "8mb", "--maxmemory-policy", "noeviction")) as server:
        server.start()
        yield server


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_frozen_server_is_down_in_time(index, redis_server, call):
    redis_server.send(signal.SIGSTOP)
    started = time.monotonic()
    try:
        with pytest.raises(ServiceDown, match="does not answer in time"):
            call(index)
        assert time.monotonic() - started < 20
    finally:
        redis_server.send(signal.SIGCONT)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_stopped_server_is_down_at_once_and_back_when_it_is(index, redis_server, call):
    redis_server.stop(signal.SIGKILL)
    started = time.monotonic()
    with pytest.raises(ServiceDown, match="cannot be reached"):
        call(index)
    assert time.monotonic() - started < 20

    redis_server.start()

    call(index)
    index.wipe()
    assert not index.take(["mail"], 5, wait_seconds=0).is_intact
    one = entry()
    index.add([one])
    assert take_all(index, ["mail"], 1) == [one.run_id]


def test_after_a_freeze_no_answer_is_taken_for_another(index, redis_server):
    redis_server.send(signal.SIGSTOP)
    with pytest.raises(ServiceDown):
        index.is_intact()
    redis_server.send(signal.SIGCONT)

    entries = [entry() for _ in range(20)]
    index.add(entries)

    assert set(take_all(index, ["mail"], 20)) == {one.run_id for one in entries}


def test_scripts_that_the_server_has_forgotten_are_sent_again(index, redis_url):
    with redis.Redis.from_url(redis_url) as client:
        client.script_flush()
    one = entry()
    index.add([one])

    assert index.take(["mail"], 1, wait_seconds=0).runs == pairs(one)


def test_a_full_server_refuses_adds_and_still_drains_ready_and_due_runs(full_server):
    with (
        closing(RedisReadyIndex(full_server.url)) as index,
        redis.Redis.from_url(full_server.url) as client,
    ):
        ready, due = [entry() for _ in range(30)], [entry(run_at=now() + 0.2 * SECOND) for _ in range(30)]
        index.add([*ready, *due])
        client.config_set("maxmemory", 1)

        with pytest.raises(ServiceDown, match="memory limit"):
            index.add([entry()])
        taken = take_all(index, ["mail"], 60)
        client.config_set("maxmemory", "8mb")

    assert sorted(taken) == sorted(one.run_id for one in [*ready, *due])


def test_a_wrong_password_is_told_and_not_shown(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        client.acl_setuser("alice", enabled=True, passwords=["+right"], keys=["jobs:*"], commands=["+@all"])
        host = redis_url.removeprefix("redis://")
        with closing(RedisReadyIndex(f"redis://alice:right@{host}")) as index:
            index.add([entry()])
        with (
            closing(RedisReadyIndex(f"redis://alice:s3cret@{host}")) as index,
            pytest.raises(ServiceDown, match="refuses us") as caught,
        ):
            index.add([entry()])
        client.acl_deluser("alice")

    assert "s3cret" not in str(caught.value)
    assert "//***@" in str(caught.value)


def test_a_key_of_another_type_in_our_place_is_told(index, redis_url):
    with redis.Redis.from_url(redis_url) as client:
        client.set("jobs:{ready}:now:mail", "x")

    with pytest.raises(ServiceDown, match="refuses a command"):
        index.add([entry()])


def test_a_replica_is_named_in_the_error(redis_url, index):
    with redis.Redis.from_url(redis_url) as client:
        client.replicaof("127.0.0.1", free_port())
        try:
            with pytest.raises(ServiceDown, match="replica"):
                index.add([entry()])
        finally:
            client.replicaof("NO", "ONE")


def test_a_server_in_a_unix_socket_serves():
    with closing(RedisServer("--unixsocket", "s")) as server:
        server.start()
        with closing(RedisReadyIndex(f"unix://{server.folder}/s?db=3")) as index:
            one = entry()
            index.add([one])

            assert index.take(["mail"], 1, wait_seconds=0.1).runs == pairs(one)
