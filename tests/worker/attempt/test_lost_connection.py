"""A job whose connection dies while it performs: its attempt is recorded, even if other things fail too."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text

import jobs
from jobs import Retry, RunState, boot
from jobs.client.job import Job
from tests.waiting import wait_until
from tests.worker.one_process import started

pytestmark = pytest.mark.slow

AT_ONCE = Retry(max_attempts=3, first=timedelta(seconds=0.05), cap=timedelta(seconds=0.1))


class Disconnected(Job, queue="lost", retry=AT_ONCE):
    """Its backend is ended in the middle of its transaction, once; then it raises what has to do with neither."""

    url: str

    def perform(self) -> None:
        with self.run.transaction() as session:
            if self.run.attempt == 1:
                pid = session.execute(text("select pg_backend_pid()")).scalar()
                with psycopg.connect(self.url, autocommit=True) as operator:
                    operator.execute("select pg_terminate_backend(%s, 5000)", (pid,))
                raise OSError("the job's own")


def test_the_attempt_of_a_job_that_lost_its_connection_is_on_record(pg_database, make_app, monkeypatch):
    app = make_app(pg_database)
    monkeypatch.setattr(boot, "_app", app)
    run_id = Disconnected(url=pg_database).enqueue().id

    with started(app, "lost"):
        assert wait_until(lambda: jobs.find(run_id).state is RunState.SUCCEEDED, seconds=60)

    assert [(one.attempt, one.outcome, one.error_type) for one in jobs.attempts(run_id)] == [
        (1, "failed", "OSError"),
        (2, "succeeded", None),
    ]
