"""On a thread too each attempt has a context of its own, as a coroutine has. K.12"""

from __future__ import annotations

import decimal
import json
from contextlib import nullcontext
from contextvars import ContextVar
from decimal import Decimal

import pytest
from sqlalchemy import select

from jobs import boot
from jobs.client.job import Job
from jobs.database.models import JobRun
from jobs.ledger.runs.claim import claim
from jobs.runtime.context import correlate, correlation_id
from tests.waiting import wait_until
from tests.worker.one_process import started
from worker.attempt.attempt import Attempts

TENANT: ContextVar[str] = ContextVar("tenant", default="nobody")


class SeesTenant(Job, queue="context"):
    tenant: str

    def perform(self) -> list[str]:
        seen = [TENANT.get(), str(Decimal(1) / Decimal(3))]
        TENANT.set(self.tenant)
        decimal.getcontext().prec = 3
        return seen


class SeesCorrelation(Job, queue="context"):
    def perform(self) -> list[str | None]:
        return [str(self.run.id), correlation_id.get()]


class SeesTenantAsync(Job, queue="context"):
    tenant: str

    async def perform(self) -> list[str]:
        seen = [TENANT.get(), str(Decimal(1) / Decimal(3))]
        TENANT.set(self.tenant)
        decimal.getcontext().prec = 3
        return seen


@pytest.fixture
def app(sqlite_url, make_app, monkeypatch):
    made = make_app(sqlite_url, threads=1)
    monkeypatch.setattr(boot, "_app", made)
    return made


def results(app):
    with app.database.read() as connection:
        return [tuple(one) for one in connection.scalars(select(JobRun.result).where(JobRun.state == "succeeded"))]


@pytest.mark.parametrize("kind", [SeesTenant, SeesTenantAsync])
def test_context_variables_of_a_job_are_not_visible_to_the_next_on_its_thread(app, kind):
    for number in range(6):
        kind(tenant=f"t{number}").enqueue()

    with started(app, "context"):
        assert wait_until(lambda: len(results(app)) == 6, seconds=60)

    assert set(results(app)) == {("nobody", "0." + "3" * 28)}


def test_an_attempt_sees_a_copy_of_the_context_that_its_thread_has(perform_here):
    performed = perform_here(SeesTenant(tenant="job"))

    assert performed == ["thread", "0.33333"]
    assert TENANT.get() == "thread"
    assert decimal.getcontext().prec == 5


def test_a_run_without_a_correlation_id_has_its_own_id_wherever_it_is_performed(perform_here):
    assert correlation_id.get() is None

    run_id, seen = perform_here(SeesCorrelation(), around=lambda: correlate("another request"))

    assert seen == run_id
    assert correlation_id.get() is None


@pytest.fixture
def perform_here(app):
    """Performs a job on this thread, whose context says so."""

    def perform(job, around=nullcontext):
        made = job.enqueue()
        with app.database.write() as connection:
            (held,) = claim(
                connection, [made.id], kinds=[type(job).__name__], worker="w", lease=app.settings.lease
            )  # fmt: skip
        with around():
            attempt_result, _ = Attempts(app).attempt(held, lambda fn: fn(), stop=Unset())
        return json.loads(attempt_result.result)

    token = TENANT.set("thread")
    with decimal.localcontext() as context:
        context.prec = 5
        yield perform
    TENANT.reset(token)


class Unset:
    def is_set(self):
        return False
