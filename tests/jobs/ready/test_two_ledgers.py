"""Two ledgers name one Redis and one prefix: neither takes the other's runs. K.21"""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from jobs.clock import new_run_id
from jobs.migration import schema
from jobs.ready.protocol import ReadyEntry


@pytest.fixture
def other_database(pg_server, migrated_template):
    url = pg_server.create_database(template=migrated_template)
    yield url
    pg_server.drop_database(url)


def taken(app):
    return [run_id for run_id, _ in app.ready.take(["mail"], 9, wait_seconds=0).runs]


def test_each_ledger_takes_and_clears_only_its_own_ids(make_app, pg_database, other_database, redis_url):
    one, other = (make_app(url, redis_url=redis_url) for url in (pg_database, other_database))
    first, second = new_run_id(), new_run_id()
    assert one.ready.mark_intact()
    assert other.ready.mark_intact()
    one.ready.add([ReadyEntry(first, "mail")])
    other.ready.add([ReadyEntry(second, "mail")])

    other.ready.wipe()

    assert one.ready.is_intact()
    assert not other.ready.is_intact()
    assert taken(other) == []
    assert taken(one) == [first]


def test_two_schemas_of_one_database_are_two_ledgers(make_app, pg_database):
    plain, work = make_app(pg_database), make_app(pg_database, database_schema="work")
    schema.upgrade(work.database)

    assert plain.database.ledger_identity() != work.database.ledger_identity()


def test_a_ledger_has_one_identity_under_every_name_and_role(make_app, pg_database):
    parts = urlsplit(pg_database)
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute("drop role if exists jobs_other")
        connection.execute("create role jobs_other login")
        connection.execute('alter role jobs_other set search_path = "$user", public')
    names = [
        pg_database,
        f"postgresql://postgres@localhost:{parts.port}{parts.path}",
        f"postgresql://jobs_other@{parts.hostname}:{parts.port}{parts.path}",
        f"postgresql://postgres@{parts.path}?host={parts.hostname}&port={parts.port}",
    ]

    found = {make_app(url).database.ledger_identity() for url in names}
    found.add(make_app(pg_database, database_schema="public").database.ledger_identity())

    assert len(found) == 1
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute("drop role jobs_other")


def test_the_index_opens_no_connection_before_it_is_used(make_app, redis_url):
    app = make_app("postgresql://nobody@127.0.0.1:1/nowhere", redis_url=redis_url)

    assert app.ready is not None


def test_every_key_carries_the_ledger(make_app, pg_database, redis_url):
    app = make_app(pg_database, redis_url=redis_url)
    app.ready.mark_intact()
    app.ready.add([ReadyEntry(new_run_id(), "mail")])

    with redis.Redis.from_url(redis_url) as client:
        keys = [key.decode() for key in client.keys("*")]

    assert keys
    assert all(key.startswith(f"jobs:{{ready}}:{app.database.ledger_identity()}:") for key in keys)
