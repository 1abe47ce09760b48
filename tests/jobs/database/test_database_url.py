"""What a database's URL may say: each spelling reaches the server, for the pool and for what listens. K.21, K2.1"""

from __future__ import annotations

from contextlib import closing
from urllib.parse import quote, urlsplit

import pytest

from jobs.database.database_url import parse_database_url, show_database_url
from jobs.database.engine import Database
from jobs.settings import Settings
from tests.server_process import free_port


@pytest.fixture
def place(pg_database):
    """Host, port and name of a database."""
    parts = urlsplit(pg_database)
    return parts.hostname, parts.port, parts.path[1:]


@pytest.fixture
def dead():
    return free_port()


SPELLINGS = {
    "libpq's hosts": "postgresql://postgres:{password}@127.0.0.1:{dead},{host}:{port}/{name}?target_session_attrs=any",
    "libpq's hosts, two that serve": "postgresql://postgres:{password}@{host}:{port},{host}:{port}/{name}",
    "libpq's hosts, postgres://": "postgres://postgres:{password}@127.0.0.1:{dead},{host}:{port}/{name}",
    "the word host repeated": "postgresql://postgres:{password}@/{name}?host=127.0.0.1:{dead}&host={host}:{port}",
    "hosts and ports in lists": "postgresql://postgres:{password}@/{name}?host=127.0.0.1,{host}&port={dead},{port}",
    "one host in the query": "postgresql://postgres:{password}@/{name}?host={host}&port={port}",
    "one host": "postgresql://postgres:{password}@{host}:{port}/{name}",
    "the driver named": "postgresql+psycopg://postgres:{password}@{host}:{port}/{name}",
}


@pytest.mark.parametrize("password", ["plain", "correct horse battery", "a/b?c#d@e:f%", "ключ'\"\\ =", "+ +"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_pool_and_what_listens_connect_alike(place, dead, spelling, password):
    host, port, name = place
    url = SPELLINGS[spelling].format(host=host, port=port, name=name, dead=dead, password=quote(password, safe=""))
    database = Database(url, Settings(connect_timeout=2))

    with closing(database):
        with database.read() as connection:
            assert connection.exec_driver_sql("select current_database()").scalar() == name
        listener = database.listener()
        with closing(listener):
            assert listener.wait_for_notify(0)
            assert listener._connection.info.dbname == name

    assert password not in database.shown


def test_a_url_of_several_hosts_is_shown_with_all_of_them():
    for url in ("postgresql://u:secret@one:1,two:2/db", "postgresql://u:secret@/db?host=one:1&host=two:2"):
        assert show_database_url(parse_database_url(url)) == "postgresql://one:1,two:2/db"


def test_a_host_without_a_port_in_a_list_has_the_usual_one():
    assert show_database_url(parse_database_url("postgresql://one,[::1]:2,two/db")) == "postgresql://***"
    assert parse_database_url("postgresql://one,[::1]:2,two/db").query == {"host": "one,::1,two", "port": "5432,2,5432"}
