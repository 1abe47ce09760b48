"""K.2: steps and transactions of async jobs, hundreds at once, beside an application that fills its own executor."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from tests.worker.live import Live, live_worker

APP = """
import asyncio, os, time
from datetime import timedelta
from sqlalchemy import text
from jobs import Retry

ONE = Retry(max_attempts=1)

class Work(Job, retry=ONE, timeout=timedelta(seconds=4)):
    n: int
    async def perform(self):
        async def call():
            return len(await asyncio.get_running_loop().getaddrinfo("localhost", 80))
        found = await self.run.once_async("call", call)
        self.run.progress(1, float("nan"))
        async with self.run.transaction() as session:
            session.execute(text("insert into effects values (:n)"), {"n": self.n})
            await asyncio.sleep(0.01)
        return found

class Fill(Job, retry=ONE):
    async def perform(self):
        await asyncio.gather(*(asyncio.to_thread(time.sleep, 30) for _ in range(2 * (os.cpu_count() or 1) + 64)))

class Quiet(Job, retry=ONE, timeout=timedelta(seconds=4)):
    async def perform(self):
        await self.run.once_async("nap", lambda: asyncio.sleep(0.01))
        await Work(n=1).enqueue_async(delay=timedelta(hours=1))
        async with self.run.transaction() as session:
            session.execute(text("insert into effects values (1)"))

class Slow(Job, retry=ONE, timeout=timedelta(seconds=1)):
    n: int
    async def perform(self):
        async with self.run.transaction() as session:
            session.execute(text("insert into effects values (:n)"), {"n": self.n})
            await asyncio.sleep(0.4)

class Steps(Job, retry=ONE, timeout=timedelta(seconds=20)):
    async def perform(self):
        cursor = self.run.cursor("rows")
        for at in (1, 2, 3):
            async with cursor.advance(to=at) as session:
                session.execute(text("insert into effects values (:n)"), {"n": at})
                await asyncio.sleep(0.05)
        await Work(n=1).enqueue_async(delay=timedelta(hours=1))

class Holds(Job, retry=ONE):
    async def perform(self):
        async with self.run.transaction() as session:
            session.execute(text("insert into effects values (0)"))
            for _ in range(3):
                await asyncio.sleep(0.3)
                await Work(n=1).enqueue_async(delay=timedelta(hours=1))
"""


pytestmark = pytest.mark.slow


def _with_effects(worker: Live) -> None:
    with worker.ledger.database.write() as connection:
        connection.execute(text("create table effects (n integer)"))


def _effects(worker: Live) -> int:
    with worker.ledger.database.read() as connection:
        return int(connection.scalar(text("select count(*) from effects")) or 0)


def test_five_hundred_coroutines_have_their_steps_and_transactions(tmp_path: Path, ledger_url: str) -> None:
    with live_worker(tmp_path, app=APP, url=ledger_url) as worker:
        _with_effects(worker)

        ended = worker.wait_until_final(worker.enqueue("Work", 500, max_attempts=1, n=1), seconds=90)

        assert ended == {"succeeded": 500}
        assert _effects(worker) == 500


def test_steps_and_transactions_go_on_while_the_applications_executor_is_full(tmp_path: Path, ledger_url: str) -> None:
    with live_worker(tmp_path, app=APP, url=ledger_url, shutdown="1s") as worker:
        _with_effects(worker)
        (filled,) = worker.enqueue("Fill")
        worker.wait_until_running(filled)

        ended = worker.wait_until_final(worker.enqueue("Quiet", 10, max_attempts=1))

        assert ended == {"succeeded": 10}
        assert worker.run(filled).state == "running"


def test_the_wait_for_a_transaction_is_not_charged_to_a_jobs_time_limit(tmp_path: Path, ledger_url: str) -> None:
    with live_worker(tmp_path, app=APP, url=ledger_url, pool_size=1, threads=1) as worker:
        _with_effects(worker)

        many = 40 if ledger_url.startswith("postgresql") else 8
        ended = worker.wait_until_final(worker.enqueue("Slow", many, max_attempts=1, n=1))

        assert set(ended) == {"succeeded"}


def test_cursors_advance_and_transactions_are_held_at_once(tmp_path: Path, ledger_url: str) -> None:
    with live_worker(tmp_path, app=APP, url=ledger_url) as worker:
        _with_effects(worker)

        ended = worker.wait_until_final(
            worker.enqueue("Steps", 12, max_attempts=1) + worker.enqueue("Holds", 3, max_attempts=1)
        )

        assert ended == {"succeeded": 15}
        assert _effects(worker) == 39
