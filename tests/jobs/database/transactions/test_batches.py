"""Batches, ``after=`` and signals in transactions of the application, over kinds that are called differently."""

from __future__ import annotations

import asyncio

import pytest

import jobs
from jobs import Job
from tests.jobs.database.transactions import kinds
from tests.jobs.database.transactions.test_joining import orders

CASES = [
    ("postgresql", kinds.async_session), ("postgresql", kinds.async_core), ("postgresql", kinds.asyncpg_connection),
    ("postgresql", kinds.psycopg_async), ("postgresql", kinds.psycopg_connection),
    ("sqlite", kinds.async_scoped), ("sqlite", kinds.aiosqlite_connection), ("sqlite", kinds.sqlite3_connection),
]  # fmt: skip


class BatchedPart(Job):
    order: int

    def perform(self) -> None: ...


def is_there(batch_id) -> bool:
    try:
        return jobs.find_batch(batch_id).total == 2
    except jobs.NotFound:
        return False


@pytest.mark.parametrize("case", CASES, ids=[f"{dialect}-{kind.__name__}" for dialect, kind in CASES], indirect=True)
def test_a_batch_a_dependent_and_a_signal_exist_when_their_transaction_commits(case):
    app, url, kind = case
    parent = BatchedPart(order=1).enqueue()

    async def make(held, batch) -> None:
        batch.add(BatchedPart(order=2))
        with batch.batch("inner") as inner:
            inner.add_many([BatchedPart(order=3)])
        await held.enqueue(BatchedPart(order=4), after=[parent])

    async def use() -> list[bool]:
        async with kind(url) as held:
            made = []
            for end in (held.rollback, held.commit):
                if held.is_async:
                    async with jobs.batch("both", session=held.session) as batch:
                        await make(held, batch)
                    sent = await jobs.signal_async(parent.id, "go", session=held.session)
                else:
                    with jobs.batch("both", session=held.session) as batch:
                        await make(held, batch)
                    sent = jobs.signal(parent.id, "go", session=held.session)
                assert orders(app) == [1]
                await end()
                made.append((sent.is_first, is_there(batch.id)))
            return made

    found = asyncio.run(use())

    assert found == [(True, False), (True, True)]
    assert orders(app) == [1, 2, 3, 4]
