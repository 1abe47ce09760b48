"""F14: PostgreSQL has no connection left, is read only, and has no disk left."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.faults.fleet import Fleet
from tests.servers import PostgresServer

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(400)]

MAX_CONNECTIONS = 60
VOLUME_MEGABYTES = 200


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    with closing(PostgresServer(max_connections=MAX_CONNECTIONS)) as server:
        server.start()
        yield server


@contextmanager
def no_connection_left(url: str) -> Iterator[int]:
    """Everybody else's connections end, and every free one is taken; how many were."""
    with ExitStack() as held:
        first = held.enter_context(psycopg.connect(url, autocommit=True))
        taken = 1
        others = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'jobledger'"
        until = time.monotonic() + 5
        while time.monotonic() < until:
            first.execute(others)
            try:
                while True:
                    held.enter_context(psycopg.connect(url, autocommit=True))
                    taken += 1
            except psycopg.OperationalError:
                continue  # There is none left.
        assert taken >= MAX_CONNECTIONS - 5
        yield taken


@contextmanager
def small_volume(server: PostgresServer) -> Iterator[Path]:
    """The data of a stopped server on a file system of its own; the write-ahead log stays outside."""
    volume, data = server.folder / "volume", server.folder / "data"
    volume.mkdir()
    size = f"size={VOLUME_MEGABYTES}m"
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", volume], capture_output=True, text=True)
    if mount.returncode:
        pytest.skip(f"a small volume cannot be mounted here: {mount.stderr.strip()}")
    try:
        subprocess.run(["cp", "-a", data, volume / "data"], check=True)
        shutil.rmtree(data)
        data.symlink_to(volume / "data")
        subprocess.run(["cp", "-a", volume / "data" / "pg_wal", server.folder / "wal"], check=True)
        shutil.rmtree(volume / "data" / "pg_wal")
        (volume / "data" / "pg_wal").symlink_to(server.folder / "wal")
        yield volume
    finally:
        server.stop()
        subprocess.run(["umount", volume], check=True)


def fill(volume: Path) -> Path:
    """Take all that is left of a volume."""
    ballast = volume / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            for size in (1 << 20, 1 << 12):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue
        finally:
            file.close()
    return ballast


def succeeded(fleet: Fleet) -> int:
    return int(fleet.value("select count(*) from job_runs where state = 'succeeded'"))


def test_f14_no_connection_left_and_then_read_only(make_fleet, load, own_postgres, is_full):
    hold, read_only = (20.0, 60.0) if is_full else (2.0, 2.0)
    load.seconds = load.seconds / 3 + hold + read_only
    fleet = make_fleet(own_postgres.create_database())

    with fleet.under_load():
        time.sleep(2)
        with no_connection_left(own_postgres.url) as taken:
            time.sleep(hold)
        fleet.fault()
        time.sleep(4)
        with closing(psycopg.connect(own_postgres.url, autocommit=True)) as operator:
            operator.execute("alter system set default_transaction_read_only = on")
            operator.execute("select pg_reload_conf()")
            time.sleep(1)
            before = succeeded(fleet)
            time.sleep(read_only)
            assert succeeded(fleet) == before, "it was not read only"
            # An operator may still write where he says so.
            operator.execute("set default_transaction_read_only = off")
            operator.execute("alter system reset default_transaction_read_only")
            operator.execute("select pg_reload_conf()")
        fleet.fault()

    fleet.check("F14", drained=fleet.drained(), extra_allowed=4 * load.processes * load.threads, taken=taken)
    assert fleet.stop() == 0
    fleet.close()


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounting a small volume takes root on Linux")
def test_f14_no_disk_left(make_fleet, load, own_postgres, is_full):
    seconds = 20.0 if is_full else 3.0
    load.runs, load.seconds = load.runs // 2, seconds + 10
    own_postgres.stop()
    with small_volume(own_postgres) as volume:
        own_postgres.start()
        fleet = make_fleet(own_postgres.create_database())
        with fleet.under_load():
            time.sleep(3)
            ballast = fill(volume)
            time.sleep(seconds)
            refused = own_postgres.log().count("No space left on device")
            ballast.unlink()
            fleet.fault()

        fleet.check(
            "F14 (disk)", drained=fleet.drained(), extra_allowed=4 * load.processes * load.threads, refused=refused
        )
        assert refused > 0, "the disk was never full"
        assert fleet.stop() == 0
        fleet.close()
