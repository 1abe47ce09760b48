"""Rescue waits, after the ledger was out of reach, until renewals have had their turn. K.4"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update

from jobs import boot
from jobs.app import App
from jobs.client.job import Job
from jobs.clock import SystemClock
from jobs.database.models import JobRun
from jobs.ledger.runs.claim import claim
from jobs.ledger.runs.lease import renew
from jobs.ledger.runs.sweep import moment_of, rescue
from jobs.upkeep.ledger_reach import Reach
from jobs.upkeep.loop import Upkeep
from jobs.upkeep.rescue import ALL_SECONDS, OVERLAP, LeaseSearch, rescue_abandoned
from tests.waiting import wait_until

LEASE = timedelta(seconds=30)


class RescueNote(Job, queue="rescue"):
    def perform(self) -> None:
        pass


class TwoHands(SystemClock):
    """A clock whose hands are moved apart: a machine that sleeps may stop the monotonic one."""

    def __init__(self) -> None:
        super().__init__(seed=1)
        self.seconds, self.wall = 1000.0, datetime(2026, 11, 30, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.wall

    def step(self, seconds: float, *, monotonic: bool = True) -> None:
        self.wall += timedelta(seconds=seconds)
        self.seconds += seconds if monotonic else 0.0


@pytest.fixture
def clock() -> TwoHands:
    return TwoHands()


def beats(reach: Reach, clock: TwoHands, seconds: float) -> list[bool]:
    """What is answered every five seconds for so long."""
    answers = []
    for _ in range(int(seconds / 5)):
        clock.step(5)
        answers.append(reach.answered())
    return answers


def test_a_ledger_that_answers_as_often_as_it_is_asked_is_in_reach(clock: TwoHands) -> None:
    assert all(beats(Reach(clock, lease=LEASE), clock, 600))


@pytest.mark.parametrize("monotonic", [True, False], ids=["paused", "asleep"])
def test_after_a_gap_in_which_leases_run_out_renewals_have_their_turn(clock: TwoHands, monotonic: bool) -> None:
    reach = Reach(clock, lease=LEASE)
    beats(reach, clock, 60)

    clock.step(40, monotonic=monotonic)

    assert reach.answered() is False
    # Renewed every 10 s, looked at every 2 s, and a second to do it.
    assert beats(reach, clock, 15) == [False, False, True]


def test_after_the_ledger_did_not_answer_renewals_have_their_turn(clock: TwoHands) -> None:
    reach = Reach(clock, lease=LEASE)
    beats(reach, clock, 60)

    reach.lost()

    assert beats(reach, clock, 20) == [False, False, False, True]


@pytest.mark.parametrize("seconds", [0.5, 1, 3, 5, 15, 30, 60, 3600])
def test_with_every_lease_the_ledger_is_polled_often_enough_and_rescues_happen_in_the_end(
    clock: TwoHands, seconds: float
) -> None:
    reach = Reach(clock, lease=timedelta(seconds=seconds))
    reach.lost()
    answers = []
    for _ in range(2000):
        answers.append(reach.answered())
        clock.step(1.25 * reach.every_seconds)

    assert answers[-1] is True
    assert answers.count(False) * reach.every_seconds <= seconds / 3 + min(2, seconds / 3) + 1 + reach.every_seconds


@pytest.fixture
def ledger(pg_database: str, make_app: Any, monkeypatch: pytest.MonkeyPatch) -> App:
    app: App = make_app(pg_database, lease=3)
    monkeypatch.setattr(boot, "_app", app)
    return app


def hold(app: App, *, expired: bool) -> Any:
    made = RescueNote().enqueue()
    with app.database.write() as connection:
        (held,) = claim(connection, [made.id], kinds=["RescueNote"], worker="w", lease=app.settings.lease)
        if expired:
            connection.execute(update(JobRun).where(JobRun.id == held.run_id).values(lease_until=JobRun.created_at))
    return held


def state(app: App, held: Any) -> str:
    with app.database.read() as connection:
        return str(connection.scalar(select(JobRun.state).where(JobRun.id == held.run_id)))


@pytest.mark.parametrize("mode", ["access exclusive", "exclusive", "share"])
def test_a_lease_that_a_table_lock_kept_from_renewal_is_not_rescued_when_the_lock_ends(ledger: App, mode: str) -> None:
    held = hold(ledger, expired=False)
    reach = Reach(ledger.clock, lease=ledger.settings.lease)
    locker = ledger.database.engine.connect()
    locker.execute(text(f"lock table job_runs in {mode} mode"))
    moved: list[int] = []
    rescuer = threading.Thread(target=lambda: moved.append(rescue_abandoned(ledger, reach=reach)[0]))
    rescuer.start()
    # Beyond the lease of three seconds.
    assert not wait_until(lambda: bool(moved), seconds=4)
    locker.rollback()
    locker.close()
    rescuer.join(60)

    assert moved == [0]
    assert state(ledger, held) == "running"
    with ledger.database.write() as connection:
        assert renew(connection, [(held.run_id, held.token)], lease=LEASE) == {held.token}


def test_a_worker_that_just_started_notices_one_that_is_gone(ledger: App) -> None:
    held = hold(ledger, expired=True)
    upkeep = Upkeep(ledger)
    upkeep.start()
    try:
        assert wait_until(lambda: state(ledger, held) == "queued", seconds=60)
    finally:
        upkeep.stop()


def test_a_scheduler_that_runs_once_rescues_at_once(ledger: App) -> None:
    held = hold(ledger, expired=True)

    Upkeep(ledger).round()

    assert state(ledger, held) == "queued"


def test_a_search_for_leases_begins_where_the_last_one_that_found_none_ended(clock: TwoHands) -> None:
    search, moment = LeaseSearch(clock), clock.now()
    assert search.since(moment) is None
    search.found(0, since=None, moment=moment)

    clock.step(5)

    assert search.since(clock.now()) == moment - OVERLAP


@pytest.mark.parametrize("why", ["found some", "time", "the ledger's clock went back"])
def test_a_search_for_leases_begins_at_the_first_one_if_an_earlier_may_have_expired(clock: TwoHands, why: str) -> None:
    search, moment = LeaseSearch(clock), clock.now()
    search.found(0, since=None, moment=moment)
    if why == "found some":
        search.found(1, since=moment, moment=moment)
    elif why == "time":
        clock.step(ALL_SECONDS)

    assert search.since(clock.now() - (timedelta(minutes=1) if "back" in why else timedelta(0))) is None


def test_upkeep_that_has_found_none_rescues_the_next_lease_that_expires(ledger: App) -> None:
    upkeep = Upkeep(ledger)
    upkeep.round()
    held = hold(ledger, expired=False)
    with ledger.database.write() as connection:
        connection.execute(update(JobRun).values(lease_until=JobRun.started_at))

    upkeep.round()

    assert state(ledger, held) == "queued"


def test_a_search_from_a_moment_leaves_older_leases(ledger: App) -> None:
    held = hold(ledger, expired=True)
    with ledger.database.write() as connection:
        assert rescue(connection, poison_after=3, since=moment_of(connection)) == []
        assert [one.run_id for one in rescue(connection, poison_after=3)] == [held.run_id]
