"""Claims under limits on the connection of the thread that claims: several statements sent together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import select

from jobs import Job, Limit, Rate, boot
from jobs.app import App
from jobs.database.direct_statements import Runner
from jobs.database.models import JobRun
from jobs.definition import registry
from jobs.definition.limits import limited_kinds
from jobs.ledger.records import Claim
from jobs.ledger.runs.claim import due_candidates
from jobs.states import Outcome
from tests.book import LEASE, Book
from tests.conftest import MakeApp
from worker.exchange.admission import Admission

KIND = "AdmissionCall"


@pytest.fixture(scope="module", autouse=True)
def kind() -> Iterator[None]:
    class AdmissionCall(Job, limits=[Limit(1), Rate(1, per=timedelta(hours=1), name="admission-calls")]):
        def perform(self) -> None: ...

    yield
    registry.forget(KIND)
    limited_kinds.pop(KIND)


@pytest.fixture
def app(pg_database: str, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> App:
    # A claim that waits for an answer that does not come gives up after this.
    made = make_app(pg_database, statement_timeout=5)
    monkeypatch.setattr(boot, "_app", made)
    return made


def test_a_run_with_a_slot_of_a_limit_that_exceeds_a_rate_is_parked_and_its_slot_goes_on(app: App) -> None:
    book = Book(app.database)
    runs = [book.enqueue(kind=KIND) for _ in range(3)]

    def claim(runner: Runner) -> list[Claim]:
        return due_candidates(runner, ["default"], count=5, kinds=[KIND], worker="w1", lease=LEASE)

    own = app.database.own_connection()
    assert own is not None
    with closing(own):
        admission = Admission(app, [KIND], worker="w1", own=own)
        (first,) = admission.claim(claim)
        book.end(first, Outcome.SUCCEEDED)

        assert admission.claim(claim) == []

    with app.database.read() as connection:
        held = {one.id: one.held_on for one in connection.execute(select(JobRun.id, JobRun.held_on))}
    assert [held[one] for one in runs] == [None, "rate:admission-calls", None]
