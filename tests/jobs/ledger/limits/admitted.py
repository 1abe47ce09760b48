"""Kinds with limits, and claims under them."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest

from jobs import Job, Limit
from jobs.definition import registry
from jobs.definition.limits import limited_kinds, limits_of
from jobs.ledger.limits.counts import declare
from jobs.ledger.records import Claim
from tests.book import Book

KINDS = ("Mail", "AdmitCharge", "AdmitSync")


@pytest.fixture(scope="module", autouse=True)
def kinds() -> Iterator[None]:
    class AdmitCharge(Job, limits=[Limit(2, by="account"), Limit(3, name="stripe")]):
        account: str = "a"

        def perform(self) -> None: ...

    class AdmitSync(Job, limits=Limit(3, name="stripe")):
        def perform(self) -> None: ...

    yield
    for kind in ("AdmitCharge", "AdmitSync"):
        registry.forget(kind)
        limited_kinds.pop(kind)


@pytest.fixture(autouse=True)
def declared(book: Book) -> None:
    with book.database.write() as connection:
        declare(connection, limits_of(["AdmitCharge", "AdmitSync"]), now=book.now)


def charge(book: Book, account: str = "a", **given: object) -> UUID:
    book.step(1)
    return book.enqueue(kind="AdmitCharge", arguments={"account": account}, **given)


def ids(claims: list[Claim]) -> list[UUID]:
    return [one.run_id for one in claims]


def due(book: Book, count: int = 10) -> list[Claim]:
    return book.claim_due(count, kinds=KINDS)
