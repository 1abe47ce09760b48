"""`check` tries what it vouches for, as workers use it, and leaves nothing. K.19, K.21"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import redis

from jobs.clock import SystemClock
from jobs.database.engine import Database
from jobs.errors import ServiceDown
from jobs.operations.insight.probe import probe


class LateClock(SystemClock):
    def now(self):
        return super().now() + timedelta(seconds=90)


def names(app) -> dict[str, str]:
    return dict(probe(app))


def test_a_healthy_ledger_passes_every_probe_and_nothing_is_left(app):
    found = names(app)

    assert found["database"].startswith("well")
    assert found["clock"] == "well"
    assert ("notify" in found) == (app.database.dialect == "postgresql")
    with app.database.read() as connection:
        assert connection.exec_driver_sql("select count(*) from job_runs").scalar() == 0


def test_a_clock_that_differs_is_reported_and_is_no_failure(make_app, pg_database):
    assert names(make_app(pg_database, clock=LateClock()))["clock"].startswith("this machine's is 90 s ahead of")


def test_a_ledger_that_refuses_writes_is_a_failure(make_app, pg_database):
    name = pg_database.rpartition("/")[2]
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute(f"alter database {name} set default_transaction_read_only = on")

    with pytest.raises(ServiceDown, match="read only"):
        names(make_app(pg_database))


def test_a_notification_that_does_not_arrive_is_a_failure(make_app, pg_database, monkeypatch):
    monkeypatch.setattr("jobs.operations.insight.probe.NOTIFY_SECONDS", 0.2)
    monkeypatch.setattr(Database, "send_notify", lambda database, runner: None)

    with pytest.raises(ServiceDown, match="NOTIFY") as caught:
        names(make_app(pg_database))

    assert "JOBS_PGBOUNCER" in str(caught.value.hint)


def test_the_probe_of_the_ready_index_leaves_it_unchanged(make_app, pg_database, redis_url):
    app = make_app(pg_database, redis_url=redis_url)
    app.ready.mark_intact()
    with redis.Redis.from_url(redis_url) as client:
        before = client.keys("*")

        assert names(app)["index"] == "well"

        assert client.keys("*") == before


def documented() -> list[str]:
    """The commands that docs/postgresql.md says a Redis user needs."""
    page = (Path(__file__).parents[4] / "docs" / "postgresql.md").read_text()
    line = next(one for one in page.splitlines() if "ACL SETUSER" in one)
    return [word[1:] for word in line.split() if word.startswith("+")]


@pytest.mark.parametrize("command", sorted({*documented()} - {"select"}))
def test_a_redis_user_without_a_needed_right_is_a_failure(make_app, pg_database, redis_server, redis_url, command):
    with redis.Redis.from_url(redis_url) as client:
        client.execute_command("ACL", "SETUSER", "few", "reset", "on", ">x", "~jobs:*", "+@all", f"-{command}")
        app = make_app(pg_database, redis_url=redis_url.replace("redis://", "redis://few:x@"))
        try:
            with pytest.raises(ServiceDown, match=f"(?i)permission|{command}") as caught:
                names(app)
        finally:
            client.execute_command("ACL", "DELUSER", "few")

    assert caught.value.hint


def test_the_rights_that_the_docs_name_are_enough(make_app, pg_database, redis_url):
    rights = [f"+{one}" for one in documented()]
    with redis.Redis.from_url(redis_url) as client:
        client.execute_command("ACL", "SETUSER", "few", "reset", "on", ">x", "~jobs:*", *rights)
        try:
            app = make_app(pg_database, redis_url=redis_url.replace("redis://", "redis://few:x@"))
            assert names(app)["index"] == "well"
            app.ready.wipe()
        finally:
            client.execute_command("ACL", "DELUSER", "few")
