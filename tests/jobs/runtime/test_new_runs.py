"""Rows of many children: made at once where they differ in ids and arguments only, and equal to single ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from jobs import WHILE_LIVE, Job
from jobs.ledger.records import NewRun, SimilarRun
from jobs.testing import Ledger


class PlainChild(Job, queue="plain-children", priority=3):
    n: int

    def perform(self) -> int:
        return self.n


class KeyedChild(Job, unique=WHILE_LIVE):
    n: int

    def idempotency_key(self) -> str:
        return str(self.n)

    def perform(self) -> str:
        return f"keyed {self.n}"


class GathersMixed(Job):
    def perform(self) -> Any:
        many: list[Job] = [PlainChild(n=n) for n in range(60)] + [KeyedChild(n=n) for n in range(3)]
        made.extend(zip(self.run.new_runs(many), map(self.run.new_run, many), strict=True))
        return self.run.gather("parts", reversed(many))


made: list[tuple[NewRun, NewRun]] = []


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    made.clear()
    with Ledger(ledger_url) as ledger:
        yield ledger


def test_rows_of_many_children_equal_those_made_one_by_one_and_join_in_order(ledger: Ledger) -> None:
    run_id = GathersMixed().enqueue().id
    ledger.drain()
    assert ledger.runs(GathersMixed)[0].result == [f"keyed {n}" for n in (2, 1, 0)] + list(range(59, -1, -1))
    names = [field.name for field in fields(NewRun) if field.name != "id"]
    for many, single in made[:63]:
        assert [getattr(many, name) for name in names] == [getattr(single, name) for name in names]
        assert many.parent_id == run_id
    assert len({one.id for one, _ in made[:63]}) == 63
    similar = [many.kind for many, _ in made[:63] if type(many) is SimilarRun]
    assert similar == ([] if ledger.app.database.dialect == "sqlite" else ["PlainChild"] * 59)
