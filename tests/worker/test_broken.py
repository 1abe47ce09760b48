"""An error in our own code around a job is recorded, the run waits, and the third error makes it poison. K.3"""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest
from sqlalchemy import select

from jobs import boot
from jobs.client.job import Job
from jobs.database.models import JobAttempt, JobRun
from tests.waiting import wait_until
from tests.worker.one_process import started
from worker.attempt.attempt import Attempts
from worker.attempt.limits import Limits
from worker.children.child_pool import Children
from worker.exchange import settler as settling
from worker.process.actor import Actors


class OurFault(BaseException):
    """An error that is not even an Exception."""


class Broken(Job, queue="broken"):
    def perform(self) -> None:
        raise ValueError("the job's own")


class BrokenAsync(Job, queue="broken"):
    async def perform(self) -> None:
        raise ValueError("the job's own")


class Neighbour(Job, queue="broken"):
    def perform(self) -> None:
        pass


@pytest.fixture
def app(pg_database, make_app, monkeypatch):
    made = make_app(pg_database)
    monkeypatch.setattr(boot, "_app", made)
    monkeypatch.setattr("jobs.ledger.runs.sweep.CRASH_DELAY", timedelta(seconds=0.05))
    # Always in threads: a child of this test's process does not know its jobs.
    monkeypatch.setattr("worker.children.child_pool.ALONE_AFTER_ABANDONMENTS", 99)
    return made


def fail(*given, **named):
    raise OurFault("ours")


def only_for(kind, fn):
    """``fn``, but failing for runs of one kind."""

    def go(self, given, *rest, **named):
        if getattr(given, "claim", given).kind == kind:
            raise OurFault("ours")
        return fn(self, given, *rest, **named)

    return go


def only_deciding(kind, fn):
    return lambda app, claim, *rest: fail() if claim.kind == kind else fn(app, claim, *rest)


def state(app, run_id):
    with app.database.read() as connection:
        return connection.execute(select(JobRun.__table__).where(JobRun.id == run_id)).one()


def attempts(app, run_id):
    with app.database.read() as connection:
        wanted = select(JobAttempt.__table__).where(JobAttempt.run_id == run_id).order_by(JobAttempt.attempt)
        return list(connection.execute(wanted))


PLACES = {
    "deciding": (Broken, "worker.attempt.attempt.decide_retry", only_deciding),
    "deciding a coroutine": (BrokenAsync, "worker.attempt.attempt.decide_retry", only_deciding),
    "around a thread's attempt": (Broken, (Actors, "_perform_here"), only_for),
    "around an attempt": (Broken, (Attempts, "attempt"), only_for),
    "around a coroutine's attempt": (BrokenAsync, (Attempts, "attempt_async"), only_for),
    "making ready": (BrokenAsync, (Attempts, "_new_run"), only_for),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_failure_around_a_job_is_recorded_waited_for_and_poison_after_the_third(app, monkeypatch, place, caplog):
    kind, where, breaking = PLACES[place]
    owner, name = where if isinstance(where, tuple) else (None, where)
    if owner is None:
        module, _, attribute = name.rpartition(".")
        original = getattr(__import__(module, fromlist=[attribute]), attribute)
        monkeypatch.setattr(name, breaking(kind.__name__, original))
    else:
        monkeypatch.setattr(owner, name, breaking(kind.__name__, getattr(owner, name)))
    run_id = kind().enqueue().id

    with started(app, "broken") as process:
        assert wait_until(lambda: state(app, run_id).state == "dead", seconds=60)
        neighbour = Neighbour().enqueue().id
        assert wait_until(lambda: state(app, neighbour).state == "succeeded", seconds=60)
        assert not process.failed.is_set()

    run, tried = state(app, run_id), attempts(app, run_id)
    assert (run.cause, run.attempt, run.charged) == ("poison", 3, 0)
    assert [str(one.outcome) for one in tried] == ["abandoned"] * 3
    assert all("Outside the job" in one.error_message for one in tried)
    waits = [one.retry_at - one.finished_at for one in tried[:-1]]
    assert waits[0] >= timedelta(seconds=0.05)
    assert waits[1] >= timedelta(seconds=0.1)
    assert "Attempt failed outside the job" in caplog.text


def test_an_attempt_at_its_hard_limit_ends_though_it_cannot_be_decided(app, monkeypatch):
    monkeypatch.setattr("worker.attempt.attempt.decide_retry", fail)
    claim = SimpleNamespace(kind="Broken", abandonments=0, run_id=None, token=UUID(int=1))

    attempt_result = Attempts(app).over(claim, 1.0, why="over")

    assert attempt_result.outcome == "abandoned"


def test_a_commit_that_fails_and_cannot_be_decided_is_recorded(app, monkeypatch):
    monkeypatch.setattr("worker.attempt.attempt.decide_retry", fail)
    claim = SimpleNamespace(kind="Broken", abandonments=0, run_id=None)
    attempt_result = SimpleNamespace(claim=claim, elapsed_seconds=1.0)

    Attempts(app).undo(attempt_result, ValueError("the commit's"))

    assert (attempt_result.outcome, attempt_result.result) == ("abandoned", None)


def test_a_bug_in_settling_ends_no_process_and_no_other_run(app, monkeypatch):
    settle = settling.settle

    def settle_others(connection, endings, **how):
        if any(one.claim.kind == "Broken" for one in endings):
            raise TypeError("ours")
        return settle(connection, endings, **how)

    monkeypatch.setattr(settling, "settle", settle_others)

    with started(app, "broken") as process:
        Broken().enqueue()
        neighbours = [Neighbour().enqueue().id for _ in range(5)]
        assert wait_until(lambda: all(state(app, one).state == "succeeded" for one in neighbours), seconds=60)
        assert not process.failed.is_set()


def test_a_child_is_killed_when_waiting_for_it_fails(app, monkeypatch):
    spawner = ChildSpawner()
    children = Children(app, Attempts(app), spawner, worker="w", stopping=Unset(), max_idle=1)
    monkeypatch.setattr(Children, "_wait", fail)
    monkeypatch.setattr("worker.children.child_pool.CLAIM", SimpleNamespace(dump_python=lambda claim, mode: {}))
    claim = SimpleNamespace(kind="Broken", crashes=0, abandonments=0)

    with pytest.raises(OurFault):
        children.perform(claim, Limits(None, None), children.stopper(), is_ours=lambda: True)

    assert spawner.said == ["spawn w:1", "kill w:1", "reap w:1"]


class ChildSpawner:
    def __init__(self):
        self.said = []
        self.lines = []

    def spawn(self, name, line):
        self.said.append(f"spawn {name}")
        self.lines.append(line.dup())

    def kill(self, name):
        self.said.append(f"kill {name}")

    def reap(self, name):
        self.said.append(f"reap {name}")
        return -9


class Unset:
    def is_set(self):
        return False
