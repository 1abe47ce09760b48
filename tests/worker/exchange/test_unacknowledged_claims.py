"""A claim whose commit was not answered may have been made: its runs do not wait for their leases to run out."""

from __future__ import annotations

import pytest
from sqlalchemy import select

import jobs
from jobs import RunState, enqueue_many
from jobs.client.job import Job
from jobs.database.models import JobRun
from jobs.errors import ServiceDown
from tests.waiting import wait_until
from tests.worker.one_process import started
from worker.exchange.source import LedgerSource

pytestmark = pytest.mark.slow


class UnacknowledgedNote(Job, queue="unacknowledged"):
    def perform(self) -> None:
        pass


def test_runs_whose_claim_was_committed_and_not_answered_are_performed_at_once(app, monkeypatch):
    unanswered = []
    claim = LedgerSource.claim

    def lose_the_first_answer(self, count, **how):
        claims = claim(self, count, **how)
        if claims and not unanswered:
            unanswered.extend(claims)
            raise ServiceDown("the answer was lost")
        return claims

    monkeypatch.setattr(LedgerSource, "claim", lose_the_first_answer)
    ids = [one.id for one in enqueue_many([UnacknowledgedNote() for _ in range(5)])]

    with started(app, "unacknowledged"):
        # Well within the lease of 30 s.
        assert wait_until(lambda: all(jobs.find(one).state is RunState.SUCCEEDED for one in ids), seconds=25)

    assert unanswered
    with app.database.read() as connection:
        assert set(connection.execute(select(JobRun.attempt, JobRun.abandonments)).all()) == {(1, 0)}
