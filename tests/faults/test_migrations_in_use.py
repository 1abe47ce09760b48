"""``migrate up`` from the oldest release over many waiting runs, while enqueuers and workers go on. (Q.2)"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from jobs.migration import build_progress, ddl, schema
from tests.faults.fleet import record

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(900)]

# The statements of the oldest release, which writes the columns of its own revision.
COLUMNS = (
    "id, kind, queue, priority, arguments, arguments_version, state, attempt, charged, crashes, abandonments, "
    "max_attempts, run_at, created_at, state_at"
)
FILL = (
    f"insert into job_runs ({COLUMNS}) select gen_random_uuid(), 'Old', 'q' || one %% 10, 0, '{{}}', 1, 'queued', 0, 0,"
    " 0, 0, 5, now(), now(), now() from generate_series(1, %s) as one"
)
ENQUEUE = (
    f"insert into job_runs ({COLUMNS}) values (%s, 'Old', 'q1', 0, '{{}}', 1, 'queued', 0, 0, 0, 0, 5, now(), now(),"
    " now())"
)
CLAIM = (
    "with due as (select id from job_runs where queue = 'q1' and state = 'queued' and run_at <= now()"
    " order by priority, run_at, id limit 20 for update skip locked) update job_runs set state = 'running',"
    " attempt = attempt + 1, charged = charged + 1, token = gen_random_uuid(), started_at = now(), state_at = now(),"
    " lease_until = now() + interval '30 s' from due where job_runs.id = due.id returning job_runs.id, token, attempt"
)
SETTLE = (
    "with ended as (update job_runs set state = 'succeeded', finished_at = now(), state_at = now(), token = null,"
    " lease_until = null where id = %s and token = %s returning id)"
    " insert into job_attempts (run_id, attempt, token, outcome, started_at, finished_at)"
    " select id, %s, %s, 'succeeded', now(), now() from ended"
)
WAITS_AT_MOST = 200
"""Milliseconds that a statement of theirs may wait for a lock. Source: the issue."""


class InUse:
    """Enqueuers and workers of the oldest release. The server ends a statement that waits for a lock for too long."""

    def __init__(self, url: str, limit: int) -> None:
        self.refused: list[str] = []
        self.enqueued = self.settled = 0
        self._options = f"-c lock_timeout={limit}"
        self._url = url
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._go_on, args=(one,)) for one in (self._enqueue, self._perform)]

    @contextmanager
    def going_on(self) -> Iterator[None]:
        for one in self._threads:
            one.start()
        try:
            yield
        finally:
            self._over.set()
            for one in self._threads:
                one.join(30)

    def _go_on(self, step: Callable[[psycopg.Connection], None]) -> None:
        with closing(psycopg.connect(self._url, autocommit=True, options=self._options)) as connection:
            while not self._over.is_set():
                try:
                    step(connection)
                except psycopg.errors.LockNotAvailable as error:
                    self.refused.append(str(error))
                self._over.wait(0.002)

    def _enqueue(self, connection: psycopg.Connection) -> None:
        connection.execute(ENQUEUE.encode(), [uuid4()])
        self.enqueued += 1

    def _perform(self, connection: psycopg.Connection) -> None:
        for run_id, token, attempt in connection.execute(CLAIM.encode()).fetchall():
            connection.execute(SETTLE.encode(), [run_id, token, attempt, token])
            self.settled += 1


@pytest.mark.short
def test_no_statement_of_a_worker_waits_long_while_the_oldest_ledger_is_migrated(
    postgres, make_app, is_full, monkeypatch
):
    runs = 2_000_000 if is_full else 5_000
    if is_full:
        # A fast machine builds an index of so many rows in less time than the product's.
        monkeypatch.setattr(build_progress, "EVERY_SECONDS", 0.2)
    else:
        monkeypatch.setattr(ddl, "PAUSE", timedelta(milliseconds=200))
    url = postgres.create_database()
    database = make_app(url).database
    schema.upgrade(database, "1_0001")
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(FILL.encode(), [runs])
        connection.execute(b"analyze job_runs")
    # Other tests run beside the short form, on any machine, and stop a process for longer than the limit.
    in_use = InUse(url, WAITS_AT_MOST if is_full else 3 * WAITS_AT_MOST)
    said: list[str] = []

    with in_use.going_on(), closing(psycopg.connect(url)) as report:
        # Holds up each change of the table, as a backup does, so that every enqueue queues behind the change.
        report.execute("select count(*) from job_runs where queue = 'q1'")
        threading.Timer(2.0 if is_full else 1.0, report.rollback).start()
        began = time.monotonic()
        schema.upgrade(database, say=said.append)
        seconds = time.monotonic() - began

    assert in_use.refused == []
    assert schema.current(database) == schema.REVISION
    assert any("trying again" in one for one in said)
    with closing(psycopg.connect(url)) as connection:
        total, ended, attempts = connection.execute(
            "select count(*), count(finished_at), (select count(*) from job_attempts) from job_runs"
        ).fetchone()
    assert (total, ended, attempts) == (runs + in_use.enqueued, in_use.settled, in_use.settled)
    assert in_use.enqueued
    found = {
        "test": "migrate in use",
        "runs": total,
        "settled": in_use.settled,
        "seconds": round(seconds, 1),
    }
    print(found)
    if is_full:
        assert any("building index" in one for one in said), "a build of seconds shows its progress"
        record(found)
    postgres.drop_database(url)
