"""Arguments and results above JOBS_STORE_ABOVE: in the store by themselves, and whole again wherever they are read."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import jobs
from jobs.errors import ArgumentsRefused
from jobs.ledger.runs.purge import erase
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.runs.detail import detail
from jobs.operations.runs.inspect import list_runs, look_at
from jobs.operations.runs.selector import SelectorInput, make_selector
from jobs.operations.stored.inspect import verify_stored
from jobs.states import Outcome, RunState
from jobs.storage.collector import collect_values
from jobs.testing import Ledger
from tests.jobs.database.transactions.kinds import begins_itself, sqlalchemy_url
from tests.jobs.storage.packed_jobs import (
    ABOVE,
    ROWS,
    After,
    AnyValue,
    ByField,
    ByMethod,
    Gathers,
    Rows,
    RowsAsync,
    in_row,
    seen,
)
from tests.jobs.storage.stored_jobs import ADA, DAY, prune, replay, rows

NAMES = [f"f{n}" for n in range(100)]


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    seen.clear()
    with Ledger(ledger_url, lock_timeout="2s", store_above=ABOVE) as made:
        yield made


def test_large_arguments_and_results_go_to_the_store_once_and_come_back_whole(ledger: Ledger) -> None:
    app = ledger.app
    run = Rows(order=7, rows=ROWS, fails=True).enqueue(on_success=[Rows(order=8, rows=ROWS)])
    small = Rows(order=1, rows=["a"]).enqueue()

    text = in_row(app, run.id)
    assert len(text) < 400
    assert json.loads(text)["order"] == 7
    assert "stored" not in in_row(app, small.id)
    ledger.drain(advance=timedelta(minutes=5))

    assert seen == [(7, True), (1, False), (7, True), (8, True)]
    found = jobs.wait(run.id, limit=timedelta(seconds=1))
    assert found.arguments == {"order": 7, "rows": ROWS, "fails": True}
    assert found.result == {"order": 7, "rows": ROWS}
    assert look_at(app, ADA, str(run.id)).result == detail(app, ADA, str(run.id)).run.result == found.result
    (listed,) = list_runs(app, ADA, make_selector(app, SelectorInput(arguments=("order=7",)))).runs
    assert listed.arguments["rows"]["$stored"]["size"] == len(json.dumps(ROWS, separators=(",", ":")))
    # Both runs have the same rows; their results differ.
    assert rows(app) == (3, 3, 4)

    replay(app, run.id, "succeeded")
    changed = ReplayAction(app=app, operator=ADA, changes={"order": 9})
    which = make_selector(app, SelectorInput(ids=(str(run.id),), states=("succeeded",)))
    carry_out(app, ADA, changed, plan(app, ADA, changed, which))
    assert prune(app) == 3
    ledger.advance(DAY)
    assert collect_values(app).deleted == 2  # The results.
    ledger.drain(advance=timedelta(minutes=5))
    assert sorted(seen[4:]) == [(7, True), (7, True), (9, True), (9, True)]

    with app.database.write() as connection:
        erase(connection, [run.id for run in ledger.runs()])
    collect_values(app)
    assert rows(app) == (0, 0, 0)


def test_every_way_to_enqueue_stores_what_is_large(ledger: Ledger, ledger_url: str) -> None:
    app = ledger.app
    jobs.enqueue_many(Rows(order=n, rows=[*ROWS, str(n)][: 800 + n % 2]) for n in range(40))
    engine = begins_itself(create_engine(app.database.url))
    with Session(engine) as session:
        Rows(order=50, rows=ROWS).enqueue(session=session)
        jobs.enqueue_many([Rows(order=51, rows=ROWS)], session=session)
        with jobs.transaction(session):
            Rows(order=52, rows=ROWS).enqueue(key="k")
        session.commit()
        Rows(order=59, rows=ROWS).enqueue(session=session)
        session.rollback()
    engine.dispose()

    async def enqueue() -> None:
        await Rows(order=60, rows=ROWS).enqueue_async()
        await jobs.enqueue_many_async([Rows(order=61, rows=ROWS)])
        driver = {"postgresql": "psycopg", "sqlite": "aiosqlite"}[app.database.dialect]
        engine = create_async_engine(sqlalchemy_url(ledger_url, driver))
        async with AsyncSession(engine) as session:
            await Rows(order=62, rows=ROWS).enqueue_async(session=session)
            await jobs.enqueue_many_async([Rows(order=63, rows=ROWS)], session=session)
            await session.commit()
        await engine.dispose()

    asyncio.run(enqueue())
    with jobs.batch("all", on_end=[Rows(order=70, rows=ROWS)]) as batch:
        batch.add(RowsAsync(order=71, rows=ROWS))
    gathers = Gathers().enqueue()
    after = After().enqueue(after=[Rows(order=72, rows=ROWS).enqueue()])
    assert all(len(in_row(app, run.id)) < 400 for run in ledger.runs())

    ledger.drain(advance=timedelta(hours=1))

    orders = [*range(40), 50, 51, 52, 60, 61, 62, 63, 70, 71, 72, 100]
    assert sorted(order for order, _ in seen) == orders
    assert sum(is_same for _, is_same in seen) == len(orders) - 20
    assert (jobs.find(gathers.id).result, jobs.find(after.id).result) == ([800], [800])
    assert [one.result for one in batch.results()] == [ROWS]


def test_equal_large_arguments_are_equal_for_a_key_and_a_replacement_reads_its_own(ledger: Ledger) -> None:
    first = Rows(order=1, rows=ROWS).enqueue(key="k")
    assert Rows(order=1, rows=ROWS).enqueue(key="k").id == first.id
    with pytest.raises(jobs.KeyConflict):
        Rows(order=1, rows=[*ROWS, "more"]).enqueue(key="k")
    assert Rows(order=2, rows=[*ROWS, "more"]).enqueue(key="k", on_conflict="replace").id == first.id

    ledger.drain()

    assert seen == [(2, False)]
    assert jobs.find(first.id).arguments["rows"] == [*ROWS, "more"]


def test_a_store_that_is_down_refuses_the_enqueue_and_gives_the_run_back(
    sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen.clear()
    folder, away = tmp_path / "values", tmp_path / "away"
    folder.mkdir()
    with Ledger(sqlite_url, store_above=ABOVE, store=f"file://{folder}") as ledger:
        runs = [Rows(order=n, rows=[*ROWS, str(n)]).enqueue() for n in range(3)]
        folder.rename(away)

        with pytest.raises(jobs.StoreDown) as down:
            Rows(order=9, rows=["other", *ROWS]).enqueue()
        assert down.value.code == "store_down"
        assert "is not there" in down.value.message
        assert len(ledger.runs()) == 3
        done = ledger.perform(runs[0].id)
        assert (done.outcome, done.run.state, done.run.charged) == (Outcome.SNOOZED, RunState.QUEUED, 0)
        assert "the store of its values is down" in caplog.text
        assert detail(ledger.app, ADA, str(runs[0].id)).run.arguments["order"] == 0
        with pytest.raises(jobs.StoreDown):
            jobs.find(runs[0].id)

        away.rename(folder)
        lost, altered = (
            folder / one[:2] / f"{one}.blob"
            for one in (json.loads(in_row(ledger.app, runs[n].id))["rows"]["$stored"]["$stored"].replace("-", "")
                        for n in (1, 2))
        )  # fmt: skip
        lost.unlink()
        altered.write_bytes(altered.read_bytes().replace(b"canary", b"parrot"))
        ledger.drain(advance=timedelta(minutes=1))

        assert seen == [(0, False)]
        for run, error in ((runs[1], "StoredMissing"), (runs[2], "StoredAltered")):
            (ended,) = [one for one in ledger.runs() if one.id == run.id]
            assert (ended.state, ended.cause) == (RunState.DEAD, jobs.Cause.BAD_ARGUMENTS)
            assert str(ended.error_type).endswith(error)
        codes = sorted(one.code for one in verify_stored(ledger.app, ADA) if one.code)
        assert codes == ["stored_altered", "stored_missing"]
        again = Rows(order=1, rows=[*ROWS, "1"]).enqueue()
        assert ledger.perform(again.id).run.state is RunState.SUCCEEDED


def test_a_result_whose_store_is_down_is_not_recorded_as_a_success(sqlite_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "values"
    with Ledger(sqlite_url, store_above=ABOVE, store=f"file://{folder}") as ledger:
        run = AnyValue(returns="short").enqueue()
        large = RowsAsync(order=1, rows=["a" * 100] * 30).enqueue()
        assert ledger.perform(run.id).run.state is RunState.SUCCEEDED

    with Ledger(sqlite_url, store_above=1024, store=f"file://{folder}") as ledger:
        done = ledger.perform(large.id)
        assert (done.outcome, done.run.charged) == (Outcome.SNOOZED, 0)
        folder.mkdir()
        ledger.drain(advance=timedelta(minutes=1))
        assert jobs.find(large.id).result == ["a" * 100] * 30


def test_what_cannot_be_told_from_a_reference_is_refused(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    run = Rows(order=7, rows=ROWS).enqueue()
    reference = json.loads(in_row(ledger.app, run.id))["rows"]

    with pytest.raises(ArgumentsRefused, match=r"'value' of packed\.AnyValue has the form of a value in a store"):
        AnyValue(value=reference).enqueue()
    caplog.set_level(logging.WARNING)
    returned = AnyValue(value=[reference], returns=[reference]).enqueue()
    ledger.drain()

    assert jobs.find(returned.id).arguments["value"] == [reference]
    assert jobs.find(returned.id).result == [reference]


def test_what_a_limit_needs_stays_in_the_row(ledger: Ledger) -> None:
    tenant = "t" * 2000
    run = ByField(tenant=tenant, rows=ROWS).enqueue()
    assert json.loads(in_row(ledger.app, run.id))["tenant"] == tenant
    assert "stored" not in in_row(ledger.app, ByMethod(rows=ROWS).enqueue().id)

    assert all(one.run.state is RunState.SUCCEEDED for one in ledger.drain())
    assert seen == [(2000, True)]


def test_the_size_above_which_values_are_stored_may_be_more_than_a_row_holds(ledger_url: str) -> None:
    seen.clear()
    with Ledger(ledger_url, store_above="1M", max_argument_bytes=ABOVE, max_result_bytes=ABOVE) as ledger:
        run = Rows(order=1, rows=ROWS).enqueue()
        wide: Any = type(
            "Wide",
            (jobs.Job,),
            {"__annotations__": dict.fromkeys(NAMES, str), "perform": lambda self: None},
            kind="packed.Wide",
        )
        with pytest.raises(ArgumentsRefused, match="that stay in its row"):
            wide(**dict.fromkeys(NAMES, "x" * 900)).enqueue()
        ledger.drain()
        assert jobs.find(run.id).result["rows"] == ROWS
