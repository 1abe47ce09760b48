"""SAVEPOINTs of the application around what it enqueues: released, rolled back, both, and deep."""

from __future__ import annotations

import asyncio

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

import jobs
from tests.jobs.database.transactions.kinds import begins_itself, sqlalchemy_url
from tests.jobs.database.transactions.test_joining import Paid, orders


def test_the_runs_that_remain_are_those_of_released_savepoints(case):
    app, url, kind = case

    async def use() -> None:
        async with kind(url) as held:
            await held.enqueue(Paid(order=1), key="one")
            await held.execute("savepoint a")
            await held.enqueue(Paid(order=2), key="two", on_success=[Paid(order=90)])
            await held.execute("savepoint b")
            await held.enqueue_many([Paid(order=3), Paid(order=4)])
            await held.execute("savepoint c")
            await held.enqueue(Paid(order=5), key="five")
            await held.execute("release savepoint c")
            await held.execute("rollback to savepoint b")
            await held.enqueue(Paid(order=6), key="five")
            await held.execute("release savepoint b")
            await held.execute("release savepoint a")
            await held.execute("savepoint a")
            await held.enqueue(Paid(order=7))
            await held.execute("rollback to savepoint a")
            await held.execute("rollback to savepoint a")
            await held.commit()

            await held.enqueue(Paid(order=8))
            await held.execute("savepoint sa_savepoint_1")
            await held.enqueue(Paid(order=9), key="nine")
            await held.execute("release savepoint sa_savepoint_1")
            await held.rollback()

    asyncio.run(use())

    assert orders(app) == [1, 2, 6]


def test_a_session_announces_only_what_its_savepoints_left(app, ledger_url, monkeypatch):
    announced = []
    monkeypatch.setattr(
        "jobs.enqueue.write_path.announce_runs", lambda app, runs: announced.append([run.id for run in runs])
    )
    engine = begins_itself(
        create_engine(sqlalchemy_url(ledger_url, "psycopg" if "postgres" in ledger_url else "pysqlite"))
    )
    with Session(engine) as session:
        kept = [Paid(order=1).enqueue(session=session).id]
        with session.begin_nested() as outer:
            Paid(order=2).enqueue(session=session)
            with session.begin_nested():
                Paid(order=3).enqueue(session=session, key="k")
            outer.rollback()
        with session.begin_nested(), session.begin_nested():
            kept.append(Paid(order=4).enqueue(session=session, key="k").id)
        session.commit()
        assert announced == [kept]

        Paid(order=5).enqueue(session=session)
        session.close()
        last = jobs.enqueue_many([Paid(order=6)], session=session)
        session.commit()
    engine.dispose()

    assert announced == [kept, [last[0].id]]
    assert orders(app) == [1, 4, 6]
