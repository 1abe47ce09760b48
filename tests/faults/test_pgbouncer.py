"""The load through a real pgbouncer in transaction mode, with fewer server connections than we have threads."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from jobs.database.engine import Database
from jobs.errors import ServiceDown
from jobs.migration import schema
from jobs.settings import Settings
from tests.faults.test_kills import kill_every_second
from tests.server_process import Server
from tests.servers import PostgresServer

BINARY = os.environ.get("JOBS_TEST_PGBOUNCER_BIN") or shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
pytestmark = [
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(BINARY is None, reason="pgbouncer is not installed (JOBS_TEST_PGBOUNCER_BIN names one)"),
]
SERVER_CONNECTIONS = 4
INI = """[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 500
logfile =
"""


class PgBouncer(Server):
    """Before a PostgreSQL server of ours; it refuses to run as root, as that does."""

    def __init__(self, before: PostgresServer) -> None:
        super().__init__("bouncer", **{name: one for name, one in before.popen.items() if os.geteuid() == 0})
        port = urlsplit(before.url).port
        (self.folder / "ini").write_text(INI.format(server=port, port=self.port, size=SERVER_CONNECTIONS))
        if os.geteuid() == 0:
            for path in (self.folder, self.folder / "ini"):
                os.chown(path, self.popen["user"], self.popen["group"])

    def argv(self) -> list[str | Path]:
        return [str(BINARY), self.folder / "ini"]

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            return False

    def through(self, url: str) -> str:
        """The same database, by way of this."""
        return urlunsplit(urlsplit(url)._replace(netloc=f"app@127.0.0.1:{self.port}"))


@pytest.fixture
def bouncer(postgres: PostgresServer) -> Iterator[PgBouncer]:
    postgres.start()
    with closing(PgBouncer(postgres)) as it:
        it.start()
        yield it


@pytest.mark.parametrize("with_redis", [True, False], ids=["redis", "ledger"])
def test_a_killed_fleet_behind_pgbouncer_loses_nothing(make_fleet, load, postgres, bouncer, with_redis):
    load.runs, load.seconds = load.runs // 5, load.seconds / 5
    url = postgres.create_database()
    fleet = make_fleet(bouncer.through(url), redis=with_redis, direct_url=url, pgbouncer=True)

    with fleet.under_load():
        kill_every_second(fleet, load.seconds / 2)
        bouncer.stop(signal.SIGKILL)
        time.sleep(1)
        bouncer.start()
        fleet.fault()

    name = "pgbouncer" if with_redis else "pgbouncer (no Redis)"
    fleet.check(name, drained=fleet.drained(), extra_allowed=load.processes * load.threads)
    assert "prepared statement" not in fleet.log.read_text()
    assert fleet.stop() == 0
    fleet.close()
    postgres.drop_database(url)


def test_a_pgbouncer_that_is_not_configured_is_one_line_that_names_the_setting(postgres, bouncer):
    url = bouncer.through(postgres.url)
    with closing(Database(url, Settings(database_url=url))) as database, pytest.raises(ServiceDown) as caught:
        schema.check(database)

    assert "JOBS_PGBOUNCER=1" in str(caught.value)
    assert "\n" not in str(caught.value)
