"""Claims in turn: within a queue and priority no tenant waits behind all runs of another."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

import pytest
from pydantic import Field
from sqlalchemy import func, select

from jobs import Job
from jobs.app import App
from jobs.database.models import JobRun, JobTurn
from jobs.definition import registry
from jobs.definition.fairness import fair_kinds
from jobs.enqueue.bulk import enqueue_blocks
from jobs.enqueue.write_path import enqueue_runs
from jobs.ledger.fairness import tenants
from jobs.ledger.fairness.tenants import drop_idle_turns
from jobs.ledger.records import Claim
from jobs.states import Outcome
from tests.book import Book, new_run

KINDS = ("Mail", "FairExport")


@pytest.fixture(scope="module", autouse=True)
def kinds() -> Iterator[None]:
    class FairExport(Job, fair_by="tenant", fair_weight="weight"):
        tenant: Annotated[str, Field(max_length=50)]

        def weight(self) -> int:
            return 3 if self.tenant.startswith("big") else 1

        def perform(self) -> None: ...

    yield
    registry.forget("FairExport")
    fair_kinds.pop("FairExport")


def exports(book: Book, tenant: str, count: int, **given: object) -> list[UUID]:
    runs = [new_run(kind="FairExport", arguments={"tenant": tenant}, **given) for _ in range(count)]
    book.step(0.001)
    book.insert(runs)
    return [one.id for one in runs]


def tenants_of(claims: list[Claim]) -> list[str]:
    return [json.loads(one.arguments).get("tenant", "-") for one in claims]


def due(book: Book, count: int = 10, **given: object) -> list[Claim]:
    return book.claim_due(count, kinds=KINDS, **given)  # type: ignore[arg-type]


def test_a_new_tenants_run_behind_many_of_another_starts_in_the_next_batch(book: Book) -> None:
    exports(book, "a", 300)
    assert tenants_of(due(book, 20)) == ["a"] * 20
    (one,) = exports(book, "b", 1)

    claims = due(book, 20)

    assert Counter(tenants_of(claims)) == {"a": 19, "b": 1}
    assert one in [claim.run_id for claim in claims[:2]]


def test_a_tenant_alone_gets_every_place_in_the_order_in_which_its_runs_were_due(book: Book) -> None:
    runs = exports(book, "a", 5) + exports(book, "a", 5)

    assert [one.run_id for one in due(book, 10)] == sorted(runs[:5]) + sorted(runs[5:])


@pytest.mark.parametrize("batch", [3, 25])
def test_tenants_get_shares_by_weight(book: Book, batch: int) -> None:
    for tenant in ("a", "b", "big one"):
        exports(book, tenant, 120)

    served: list[str] = []
    while len(served) < 150:
        claims = due(book, batch)
        served += tenants_of(claims)
        book.settle_with_care(*[_success(one) for one in claims])

    counts = Counter(served[10:])
    assert counts["big one"] / counts["a"] == pytest.approx(3, rel=0.15)
    assert counts["a"] == pytest.approx(counts["b"], abs=3)


def _success(held: Claim):  # type: ignore[no-untyped-def]
    from tests.book import attempt_result

    return attempt_result(held, Outcome.SUCCEEDED)


def test_priorities_and_runs_without_a_tenant_keep_their_places(book: Book) -> None:
    exports(book, "a", 3)
    book.step(0.001)
    mail = book.enqueue()
    exports(book, "b", 3)
    urgent = exports(book, "a", 1, priority=-1)

    claims = due(book, 4)

    assert [claims[0].run_id] == urgent
    assert Counter(tenants_of(claims[1:])) == {"a": 2, "b": 1}
    assert mail in [one.run_id for one in due(book, 2)]


def test_a_claim_by_ids_takes_the_tenants_whose_turn_it_is(book: Book) -> None:
    first = exports(book, "a", 6)
    exports(book, "b", 6)

    claims = book.claim(*first[:4], kinds=KINDS)

    assert Counter(tenants_of(claims)) == {"a": 2, "b": 2}


def test_tenants_that_have_only_later_paused_or_running_runs_take_no_turn(book: Book) -> None:
    exports(book, "busy", 1)
    assert tenants_of(due(book)) == ["busy"]
    exports(book, "paused", 1, queue="paused")
    book.pause("paused")
    exports(book, "later", 2, delay_seconds=3600.0)
    exports(book, "a", 4)
    exports(book, "b", 1)

    assert Counter(tenants_of(due(book, 10))) == {"a": 4, "b": 1}
    assert due(book, 10) == []


def test_more_tenants_than_one_claim_reads_take_turns(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenants, "MAX_TENANTS", 4)
    for number in range(10):
        exports(book, f"t{number}", 5)

    served = [one for _ in range(10) for one in tenants_of(due(book, 3))]

    assert len(set(served)) == 10
    assert len(served) == 30


def test_retries_keep_their_tenant_and_turns_of_idle_tenants_are_deleted(book: Book) -> None:
    exports(book, "a", 3)
    exports(book, "b", 3)
    held = due(book, 2)
    book.end(held[0], Outcome.FAILED)
    assert book.column(held[0].run_id, "tenant") == json.loads(held[0].arguments)["tenant"]

    with book.database.write() as connection:
        assert drop_idle_turns(connection, now=book.now) == 0
        book.step(4000)
        assert drop_idle_turns(connection, now=book.now) == 2
        assert connection.scalar(select(func.count()).select_from(JobTurn)) == 1


def test_every_way_to_enqueue_records_the_tenant(app: App) -> None:
    def made(count: int, **given: object):  # type: ignore[no-untyped-def]
        return [new_run(kind="FairExport", arguments={"tenant": "a"}, **given) for _ in range(count)]

    enqueue_runs(app, made(1))
    enqueue_runs(app, made(3))
    enqueue_runs(app, made(1, key="k", hold_seconds=0.0))
    enqueue_blocks(app, [made(60), [new_run() for _ in range(60)]])

    with app.database.read() as connection:
        by_kind = select(JobRun.kind, func.count(JobRun.tenant)).group_by(JobRun.kind)
        assert dict(connection.execute(by_kind).all()) == {"FairExport": 65, "Mail": 0}
