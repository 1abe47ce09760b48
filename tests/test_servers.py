"""The servers that tests run on: ours, disposable, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess as sp
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import redis

from tests.servers import NamedServer, PostgresServer, RedisServer
from tests.waiting import wait_until

HOLD_TWO_SERVERS = """
import sys, time
from tests.servers import PostgresServer, RedisServer
servers = [PostgresServer(), RedisServer()]
for server in servers:
    server.start()
    print(server.process.pid, server.folder, flush=True)
time.sleep(600)
"""


def is_running(pid: int) -> bool:
    """A dead one that nobody has reaped yet does not run: its maker is gone, and the reaping is not ours."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = sp.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return bool(state) and not state.startswith("Z")


def test_a_killed_maker_leaves_neither_servers_nor_folders():
    maker = sp.Popen([sys.executable, "-c", HOLD_TWO_SERVERS], stdout=sp.PIPE, text=True, cwd=Path.cwd())
    assert maker.stdout is not None
    left = [maker.stdout.readline().split() for _ in range(2)]
    pids, folders = [int(pid) for pid, _ in left], [Path(folder) for _, folder in left]
    assert all(map(is_running, pids))

    os.kill(pids[0], signal.SIGSTOP)
    maker.kill()
    maker.communicate()

    assert wait_until(lambda: not any(folder.exists() for folder in folders), seconds=60)
    assert wait_until(lambda: not any(map(is_running, pids)), seconds=60)


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
def test_postgresql_keeps_what_was_committed_through_stop_and_start(pg_server, pg_database, sig):
    with psycopg.connect(pg_database) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")

    pg_server.stop(sig)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(pg_database, connect_timeout=2)
    pg_server.start()

    with psycopg.connect(pg_database) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_a_killed_redis_comes_back_empty_at_the_same_url(redis_server, redis_url):
    client = redis.Redis.from_url(redis_url)
    client.set("k", "v")

    redis_server.stop(signal.SIGKILL)
    with pytest.raises(redis.ConnectionError):
        client.ping()
    redis_server.start()

    assert client.get("k") is None


def test_a_frozen_server_does_not_answer_until_it_is_thawed(redis_server, redis_url):
    client = redis.Redis.from_url(redis_url, socket_timeout=0.2, retry=None)

    redis_server.send(signal.SIGSTOP)
    with pytest.raises(redis.TimeoutError):
        client.ping()
    redis_server.send(signal.SIGCONT)

    assert wait_until(lambda: _pings(redis_url), seconds=60)


def test_each_database_is_a_copy_of_the_template(pg_server):
    template = pg_server.create_database()
    with psycopg.connect(template) as connection:
        connection.execute("CREATE TABLE t (n int)")

    one, other = (pg_server.create_database(template=template) for _ in range(2))
    with psycopg.connect(one) as connection:
        connection.execute("INSERT INTO t VALUES (1)")

    with psycopg.connect(other) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    for url in (one, other, template):
        pg_server.drop_database(url)


def test_settings_reach_postgresql():
    with closing(PostgresServer(fsync=True, work_mem="9MB", max_connections=17)) as server:
        server.start()
        with psycopg.connect(server.url) as connection:
            shown = [
                connection.execute(f"SHOW {name}").fetchone()[0] for name in ("fsync", "work_mem", "max_connections")
            ]

    assert shown == ["on", "9MB", "17"]


def test_a_closed_server_is_gone_with_its_folder():
    server = RedisServer()
    server.start()

    server.close()

    assert not server.folder.exists()
    assert server.process.poll() is not None


def test_a_test_that_would_stop_a_named_server_is_skipped(pytester):
    pytester.makepyfile(
        """
        import signal
        from tests.servers import NamedServer

        def test_it():
            NamedServer("redis://elsewhere").send(signal.SIGSTOP)
        """
    )

    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")

    result.assert_outcomes(skipped=1)
    assert not NamedServer("redis://elsewhere").is_ours


def _pings(url: str) -> bool:
    try:
        return bool(redis.Redis.from_url(url, socket_timeout=0.2, retry=None).ping())
    except redis.RedisError:
        return False
