"""Redis comes back with an old state: with its mark, without the ids that came after it, with keys of others."""

from __future__ import annotations

import pytest
import redis

from jobs import boot, enqueue_many
from jobs.app import App
from jobs.client.job import Job
from jobs.upkeep import reconcile
from tests.waiting import wait_until
from tests.worker.one_process import started

pytestmark = pytest.mark.slow


class StaleNote(Job, queue="stale"):
    def perform(self) -> None:
        pass


@pytest.fixture
def app(pg_database, redis_url, make_app, monkeypatch) -> App:
    made = make_app(pg_database, redis_url=redis_url, overdue_after=0.2)
    monkeypatch.setattr(boot, "_app", made)
    made.ready.mark_intact()
    return made


def succeeded(app):
    with app.database.read() as connection:
        return connection.exec_driver_sql("select count(*) from job_runs where state = 'succeeded'").scalar()


def test_an_index_restored_from_an_old_state_is_complete_after_one_reconcile(app, redis_url, monkeypatch):
    monkeypatch.setattr(reconcile, "OVERDUE_BATCH", 10)
    enqueue_many([StaleNote() for _ in range(200)])
    with redis.Redis.from_url(redis_url) as client:
        assert client.delete(*client.keys("jobs:{ready}:*:now:stale")) == 1

    with started(app, "stale"):
        # A round is 4 s or more: ten a round would take a minute and a half.
        assert wait_until(lambda: succeeded(app) == 200, seconds=60)


@pytest.mark.parametrize("place", ["now:stale", "later:stale", "intact"])
def test_a_key_of_another_type_in_our_place_costs_no_run(app, redis_url, place):
    key = f"jobs:{{ready}}:{app.database.ledger_identity()}:{place}"
    with redis.Redis.from_url(redis_url) as client:
        client.delete(key)
        client.hset(key, "not", "ours")
    enqueue_many([StaleNote() for _ in range(20)])

    with started(app, "stale"):
        assert wait_until(lambda: succeeded(app) == 20, seconds=60)
        with redis.Redis.from_url(redis_url) as client:
            client.flushdb()
        enqueue_many([StaleNote() for _ in range(20)])
        assert wait_until(lambda: succeeded(app) == 40, seconds=60)
        # And it is the index again that names them.
        assert wait_until(lambda: not app.ready.is_down, seconds=60)
