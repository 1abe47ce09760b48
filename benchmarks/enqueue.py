"""The cost of enqueueing: one by one, in a caller's transaction, and many at once, compared with what is possible.

The yardsticks do by hand, in the same minute and on the same servers, what ``enqueue`` does: insert a row of the same
table, commit it durably, and publish its id with ZADD. They check nothing, and nothing hears of what they insert.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from uuid import uuid4

import psycopg
import redis
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from benchmarks.kit import stock
from benchmarks.kit.figures import Figures, program
from benchmarks.kit.modes import FLEET, MODES, SQLITE, STOCK
from benchmarks.kit.places import Place, Places, places
from benchmarks.kit.work import TEXT, Noop
from jobs import enqueue_many

COLUMNS = (
    "id, kind, queue, priority, arguments, arguments_version, state, attempt, charged, crashes, abandonments,"
    " max_attempts, run_at, created_at, state_at"
)
REST = "'Noop', 'default', 0, {arguments}, 1, 'queued', 0, 0, 0, 0, 10, now(), now(), now()"
INSERT_ONE = f"insert into job_runs ({COLUMNS}) values (%s, {REST.format(arguments='%s')})"
INSERT_MANY = f"insert into job_runs ({COLUMNS}) select one.id, {REST.format(arguments='one.arguments')}"
INSERT_MANY += " from unnest(%s::uuid[], %s::json[]) as one(id, arguments)"
ONE = "enqueue one"
BATCH = 100


def per_second(count: int, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def raw(place: Place, given: argparse.Namespace, figures: Figures) -> None:
    """Measure what the servers and their clients allow."""
    keys = redis.Redis.from_url(place.redis_url or "")
    text = '{"a":1,"b":"' + TEXT + '"}'
    with psycopg.connect(place.database_url) as connection:

        def one() -> None:
            for _ in range(given.runs):
                run_id = uuid4()
                connection.execute(INSERT_ONE, (run_id, text))
                connection.commit()
                keys.zadd("bench", {run_id.hex: 0})

        def many() -> None:
            for _ in range(given.many // BATCH):
                connection.execute(INSERT_MANY, ([uuid4() for _ in range(BATCH)], [text] * BATCH))
                connection.commit()

        figures.add(ONE, "psycopg insert and ZADD", "runs/s", per_second(given.runs, one))
        figures.add(f"enqueue many, {BATCH} a call", "psycopg unnest", "runs/s", per_second(given.many, many))


def ours(place: Place, given: argparse.Namespace, figures: Figures) -> None:
    jobs = [Noop(a=number) for number in range(given.many)]

    def one() -> None:
        for job in jobs[: given.runs]:
            job.enqueue()

    def many() -> None:
        for start in range(0, given.many, BATCH):
            enqueue_many(jobs[start : start + BATCH])

    figures.add(ONE, place.mode, "runs/s", per_second(given.runs, one))
    figures.add(f"enqueue many, {BATCH} a call", place.mode, "runs/s", per_second(given.many, many))
    figures.add("enqueue many, in one call", place.mode, "runs/s", per_second(given.many, lambda: enqueue_many(jobs)))
    if place.mode != SQLITE:
        engine = create_engine(place.app.database.url)

        def in_transactions() -> None:
            for job in jobs[: given.runs]:
                with Session(engine) as session, session.begin():
                    job.enqueue(session=session)

        rate = per_second(given.runs, in_transactions)
        figures.add("enqueue one, in the caller's transaction", place.mode, "runs/s", rate)
        engine.dispose()


def turn(there: Places, given: argparse.Namespace, figures: Figures) -> None:
    stock.use(there.redis.url)
    figures.add(ONE, STOCK, "runs/s", per_second(given.runs, lambda: stock.send(given.runs)))
    with there.ledger(FLEET) as place:
        raw(place, given, figures)
    for mode in MODES:
        with there.ledger(mode) as place:
            ours(place, given, figures)


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there:
        for _ in range(given.repeats):
            turn(there, given, figures)


if __name__ == "__main__":
    program("enqueue", run, runs=(1000, "one by one"), many=(20_000, "in bulk"))
