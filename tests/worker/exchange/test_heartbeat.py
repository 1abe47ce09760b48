"""Leases are renewed even if jobs exhaust the pool or a connection dies."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import select

import jobs
from jobs import boot
from jobs.client.job import Job
from jobs.database.models import JobRun
from jobs.database.postgres.driver import pool_limit
from jobs.ledger.runs.claim import claim
from jobs.ledger.runs.sweep import rescue
from tests.faults.proxy import FaultyProxy
from tests.waiting import wait_until
from worker.exchange.heartbeat import Heartbeat
from worker.exchange.held_leases import HeldLeases

LEASE = timedelta(seconds=10)


class HeartbeatNote(Job):
    def perform(self) -> None:
        pass


@pytest.fixture
def make(make_app, monkeypatch):
    def make(url):
        app = make_app(url, lease=LEASE.total_seconds(), pool_size=1, threads=1)
        monkeypatch.setattr(boot, "_app", app)
        return app

    return make


@contextmanager
def holding_one(app, *, starts=True):
    """A run held by a process with a heartbeat: its claim, what is held, what has been lost, and the heartbeat."""
    enqueued = HeartbeatNote().enqueue()
    with app.database.write() as connection:
        (held,) = claim(connection, [enqueued.id], kinds=["HeartbeatNote"], worker="w", lease=LEASE)
    held_leases, lost = HeldLeases(), []
    held_leases.add([held])
    beat = Heartbeat(
        app, held_leases, worker="w", performing=lambda: [held], cancel=lambda token: None, lose=lost.append
    )
    if starts:
        beat.start()
    try:
        yield held, held_leases, lost, beat
    finally:
        if starts:
            beat.stop()


def lease_until(app, held):
    with app.database.read() as connection:
        return connection.scalar(select(JobRun.lease_until).where(JobRun.id == held.run_id))


def test_leases_are_renewed_while_jobs_hold_every_connection_of_the_pool(make, pg_database):
    app = make(pg_database)
    with holding_one(app) as (held, _, lost, _), ExitStack() as jobs:
        before = lease_until(app, held)
        held_by_jobs = [jobs.enter_context(app.database.read()) for _ in range(pool_limit(app.settings))]

        renewed = select(JobRun.lease_until).where(JobRun.id == held.run_id)
        assert wait_until(lambda: held_by_jobs[0].scalar(renewed) > before, seconds=60)

    assert not lost


def test_a_connection_that_was_forgotten_on_the_way_costs_no_lease(make, pg_database):
    with closing(FaultyProxy(pg_database, Random(1))) as proxy:
        app = make(proxy.url)
        with holding_one(app) as (held, held_leases, lost, _):
            first = lease_until(app, held)
            assert wait_until(lambda: lease_until(app, held) > first, seconds=60)
            proxy.forget()

            # Beyond the lease as it was then.
            until = time.monotonic() + LEASE.total_seconds() + 1
            other = make(pg_database)
            while time.monotonic() < until:
                with other.database.write() as connection:
                    assert rescue(connection, poison_after=3) == []
                time.sleep(0.05)

            assert not lost
            assert len(held_leases) == 1


def test_a_lease_that_another_process_has_ended_is_lost(make, pg_database):
    app = make(pg_database)
    with holding_one(app) as (held, held_leases, lost, _):
        with app.database.write() as connection:
            connection.execute(JobRun.__table__.update().values(lease_until=held.claimed_at))
            assert len(rescue(connection, poison_after=3)) == 1

        assert wait_until(lambda: lost == [held.token], seconds=60)
        assert len(held_leases) == 0


def test_an_attempt_that_this_process_has_just_ended_is_not_reported_as_lost(make, pg_database):
    app = make(pg_database)
    with holding_one(app, starts=False) as (held, held_leases, lost, beat):
        with app.database.write() as connection:
            connection.execute(JobRun.__table__.update().values(lease_until=held.claimed_at))
            rescue(connection, poison_after=3)

        beat.renew()  # Between the commit of a result and the moment at which the settler drops the claim.
        held_leases.drop(held.token)
        beat.report_lost()

    assert not lost


def test_a_lost_claim_does_not_end_another_that_is_still_leased(make, pg_database):
    app = make(pg_database)
    with holding_one(app, starts=False) as (held, held_leases, lost, beat):
        other = HeartbeatNote().enqueue()
        with app.database.write() as connection:
            (kept,) = claim(connection, [other.id], kinds=["HeartbeatNote"], worker="w", lease=LEASE)
            held_leases.add([kept])
            of_first = JobRun.__table__.c.id == held.run_id
            connection.execute(JobRun.__table__.update().where(of_first).values(lease_until=held.claimed_at))
            assert len(rescue(connection, poison_after=3)) == 1

        beat.renew()
        beat.report_lost()

        assert lost == [held.token]
        assert [one.token for one in held_leases.all()] == [kept.token]


def test_a_cancellation_reaches_the_attempt_of_its_run_alone(make, pg_database):
    app = make(pg_database)
    runs = [HeartbeatNote().enqueue().id for _ in range(2)]
    with app.database.write() as connection:
        performing = claim(connection, runs, kinds=["HeartbeatNote"], worker="w", lease=LEASE)
    jobs.cancel(performing[0].run_id)
    cancelled = []
    beat = Heartbeat(
        app, HeldLeases(), worker="w", performing=lambda: performing, cancel=cancelled.append, lose=cancelled.append
    )

    beat._read_cancellations()

    assert cancelled == [performing[0].token]
