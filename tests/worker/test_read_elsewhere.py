"""A run whose arguments do not fit waits while a live worker has another release of the code (K2.13)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel
from sqlalchemy import insert, select, text

from jobs import Cause, Job, RunState
from jobs.clock import new_token
from jobs.database.models import JobAttempt, JobWorker
from jobs.database.sql import ledger_now
from jobs.definition import registry
from jobs.definition.class_release import code_of, codes
from jobs.definition.published import published_kinds
from jobs.ledger import workers
from jobs.ledger.published_kinds import find_published
from jobs.testing import Ledger
from tests.worker.one_process import started
from worker.attempt.job_reader import REFUSED_HERE
from worker.attempt.retry_decision import ELSEWHERE_WAIT


class Renamed(Job, kind="elsewhere.Renamed"):
    order_id: int

    def perform(self) -> None: ...


class RenamedAsync(Job, kind="elsewhere.RenamedAsync"):
    order_id: int

    async def perform(self) -> None: ...


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url) as ledger:
        yield ledger


def old_run(ledger: Ledger, job: Job) -> UUID:
    """A run of ``job`` as a release wrote it that called the field otherwise."""
    run_id = job.enqueue().id
    with ledger.app.database.write() as connection:
        connection.execute(text("""update job_runs set arguments = '{"order": 7}'"""))
    return run_id


def register(ledger: Ledger, name: str, kind: str, code: str | None) -> None:
    with ledger.app.database.write() as connection:
        workers.register(
            connection, name, host="h", pid=1, version="1", queues=["default"], kinds=[kind, "Other"], threads=1,
            codes={kind: code, "Other": "x"} if code is not None else None,
        )  # fmt: skip


def refuse(ledger: Ledger, run_id: UUID, name: str) -> None:
    """Let the worker ``name`` have given the run back for its arguments."""
    with ledger.app.database.write() as connection:
        connection.execute(
            insert(JobAttempt).values(
                run_id=run_id, attempt=99, token=new_token(), outcome="snoozed", worker=name, error_type=REFUSED_HERE,
                started_at=ledger_now(), finished_at=ledger_now(),
            ),
            {"now": None},
        )  # fmt: skip


@pytest.mark.parametrize("job", [Renamed(order_id=1), RenamedAsync(order_id=1)], ids=["plain", "async"])
@pytest.mark.parametrize("code", ["0123456789ab", None], ids=["another", "a release that says none"])
def test_a_run_with_misfit_arguments_is_given_back_while_another_release_is_live(
    ledger: Ledger, job: Job, code: str | None
) -> None:
    register(ledger, "old", job.options.kind, code)
    run_id = old_run(ledger, job)

    performed = ledger.perform(run_id)

    run = performed.run
    assert (run.state, run.charged) == (RunState.QUEUED, 0)
    assert "order_id" in (run.error_message or "")
    assert "another release of the code" in (run.error_message or "")

    with ledger.app.database.write() as connection:
        workers.sign_off(connection, "old")

    ledger.advance(ELSEWHERE_WAIT)
    run = ledger.perform(run_id).run
    assert (run.state, run.cause) == (RunState.DEAD, Cause.BAD_ARGUMENTS)


def test_a_run_with_misfit_arguments_dies_when_every_live_worker_has_the_same_code(ledger: Ledger) -> None:
    register(ledger, "same", "elsewhere.Renamed", code_of(Renamed))
    register(ledger, "stranger", "Another", "0123456789ab")

    run = ledger.perform(old_run(ledger, Renamed(order_id=1))).run

    assert (run.state, run.cause) == (RunState.DEAD, Cause.BAD_ARGUMENTS)


def test_a_run_with_misfit_arguments_dies_when_each_live_release_has_refused_it(ledger: Ledger) -> None:
    register(ledger, "old", "elsewhere.Renamed", "0123456789ab")
    register(ledger, "older", "elsewhere.Renamed", "ba9876543210")
    register(ledger, "old, beside it", "elsewhere.Renamed", "0123456789ab")
    run_id = old_run(ledger, Renamed(order_id=1))

    refuse(ledger, run_id, "old")
    assert ledger.perform(run_id).run.state is RunState.QUEUED

    with ledger.app.database.write() as connection:
        connection.execute(text("update job_attempts set attempt = 98 where attempt = 99"))
    refuse(ledger, run_id, "older")
    ledger.advance(ELSEWHERE_WAIT)
    run = ledger.perform(run_id).run
    assert (run.state, run.cause) == (RunState.DEAD, Cause.BAD_ARGUMENTS)


def test_a_worker_process_publishes_its_code_versions(ledger: Ledger) -> None:
    with started(ledger.app, "elsewhere"), ledger.app.database.read() as connection:
        said = connection.scalar(select(JobWorker.codes).where(JobWorker.name == "w1"))

        published = find_published(connection, registry.kinds())

    assert said["elsewhere.Renamed"] == code_of(Renamed)
    assert said == codes()
    assert published == {one.kind: one for one in published_kinds(ledger.app.settings.max_argument_bytes)}
    assert published["elsewhere.Renamed"].queue == Renamed.options.queue


class Inner(BaseModel):
    n: int


def job_of(fields: dict[str, Any], inner: type[BaseModel] = Inner, **options: Any) -> Any:
    annotations = {"inner": inner, **fields}
    return type(Job)("Changing", (Job,), {"__annotations__": annotations, "__module__": __name__}, **options)


def test_a_code_differs_by_fields_their_types_nested_ones_and_the_version() -> None:
    class Other(BaseModel):
        m: int

    Other.__name__ = Other.__qualname__ = "Inner"
    found = [
        code_of(one)
        for one in (
            job_of({"n": int}),
            job_of({"m": int}),
            job_of({"n": str}),
            job_of({"n": int}, inner=Other),
            job_of({"n": int}, version=2),
        )
    ]

    assert len(set(found)) == len(found)
    assert code_of(job_of({"n": int})) == found[0]
