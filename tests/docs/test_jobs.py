"""docs/jobs.md: its blocks are run in their order, and its jobs do what the page says."""

from __future__ import annotations

import asyncio
import re
import sys
import types
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select

import jobs
from jobs import Cause, RunState
from jobs.definition import registry
from jobs.testing import Ledger

PAGE = Path(__file__).resolve().parents[2] / "docs" / "jobs.md"
DAY = timedelta(days=1)
ROWS = 2500


class Mail:
    def __init__(self) -> None:
        self.sent: list[tuple[Any, str]] = []

    def send(self, to: Any, key: str) -> str:
        self.sent.append((to, key))
        return f"sent to {to}"


class Answer:
    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.status, self.headers = status, headers or {}

    def raise_for_status(self) -> None:
        if self.status >= 400:
            raise OSError(f"status {self.status}")


class Http:
    def __init__(self) -> None:
        self.answers = [Answer(503, {"Retry-After": "120"}), Answer(500), Answer(200)]

    def post(self, url: str, json: dict[str, str], key: str) -> Answer:
        return self.answers.pop(0)


class Flights:
    def __init__(self) -> None:
        self.cancelled: list[int] = []

    def book(self, trip: int) -> str:
        return f"F{trip}"

    def cancel(self, trip: int) -> None:
        self.cancelled.append(trip)


class Hotels:
    def book(self, trip: int) -> str:
        raise OSError("no room")


class Transcripts:
    asked = 0

    def ready(self, call: str) -> bool:
        self.asked += 1
        return self.asked > 5

    def read(self, call: str) -> str:
        return "hello"


class Images:
    def __init__(self) -> None:
        self.made: list[int] = []

    def scale(self, picture: str, width: int) -> str:
        self.made.append(width)
        return f"{width}-{picture}"


class Model:
    loaded = 0

    def __init__(self, weights: str) -> None:
        Model.loaded += 1

    def label(self, text: str, language: str) -> str:
        return "positive"


def chunks(rows: Any, *, size: int, skip: int) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    rows = islice(rows, skip, None)
    at = skip
    while chunk := list(islice(rows, size)):
        at += len(chunk)
        yield at, chunk


@pytest.fixture
def page(ledger_url: str, tmp_path: Path) -> Iterator[tuple[Ledger, Any]]:
    """The page as a module that has been run on an empty ledger, with stand-ins for the world around it."""
    metadata = MetaData()
    prices = Table("prices", metadata, Column("sku", String), Column("price", Integer))
    reports = Table("reports", metadata, Column("day", String), Column("total", Integer))
    file = tmp_path / "prices.csv"
    file.write_text("sku,price\n" + "".join(f"s{n},{n}\n" for n in range(ROWS)))
    known = set(registry.kinds())
    module = types.ModuleType("docs_jobs")
    module.__dict__.update(
        mail=Mail(), http=Http(), flights=Flights(), hotels=Hotels(), transcripts=Transcripts(), images=Images(),
        Model=Model, chunks=chunks, prices=prices, reports=reports, insert=insert, prices_csv=str(file),
        count_orders=lambda day: 3, users=lambda: range(10_000),
    )  # fmt: skip
    sys.modules["docs_jobs"] = module
    with Ledger(ledger_url) as ledger:
        metadata.create_all(ledger.app.database.engine)
        for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE):
            exec(compile(block, str(PAGE), "exec", dont_inherit=True), module.__dict__)
        yield ledger, module
    del sys.modules["docs_jobs"]
    for kind in set(registry.kinds()) - known:
        registry.forget(kind)


def test_the_jobs_of_the_page_do_what_the_page_says(page: tuple[Ledger, Any]) -> None:
    ledger, module = page
    ledger.crash(module.SendWelcome, late=True)
    ledger.crash(module.ImportPrices, late=True)
    ledger.crash(module.NightlyReport, late=True)
    # The 10,000 are enqueued and counted; performing them is the load tests' part.
    [announced] = ledger.runs(module.Announce)
    ledger.perform(announced.id)
    tells = count(ledger, "Tell")
    cancel_all(ledger, "Tell")
    ledger.drain(advance=timedelta(minutes=30))
    ledger.drain(advance=timedelta(hours=8))

    assert tells == 10_000
    assert [to for to, _ in module.mail.sent].count(7) == 1
    assert jobs.find(module.imported.id).result == ROWS
    assert amount(ledger, module.prices) == ROWS
    assert jobs.find(module.imported.id).progress["done"] == ROWS
    [delivered] = ledger.runs(module.Deliver)
    assert (delivered.result, delivered.attempt) == (200, 3)
    assert module.images.made == [300]
    [hotel] = ledger.runs(module.BookHotel)
    assert (hotel.state, hotel.cause) == (RunState.DEAD, Cause.EXHAUSTED)
    assert module.flights.cancelled == [1]
    assert jobs.find(module.transcript.id).result == "hello"
    assert jobs.find(module.transcript.id).charged == 0
    assert jobs.find(module.labelled.id).result == "positive"


def test_the_nightly_report_and_its_mail_come_once(page: tuple[Ledger, Any]) -> None:
    ledger, module = page
    ledger.crash(module.NightlyReport, late=True)
    run = module.NightlyReport(day="2029-01-01").enqueue()
    ledger.perform(run.id)
    ledger.advance(timedelta(minutes=5))
    ledger.perform(run.id)

    assert amount(ledger, module.reports) == 1
    ledger.assert_enqueued(module.SendReport, day="2029-01-01")


def test_a_web_handler_reads_the_progress_of_an_export(page: tuple[Ledger, Any]) -> None:
    ledger, module = page

    run_id = asyncio.run(module.start_export(3))
    before = asyncio.run(module.show_export(run_id))
    ledger.perform(jobs.find(run_id).id)
    after = asyncio.run(module.show_export(run_id))

    assert before == {"state": RunState.QUEUED, "progress": None, "result": None}
    assert after["progress"] == {"done": 3, "total": 3, "message": "writing"}
    assert after["result"] == {"file": "export.csv"}


def test_the_test_on_the_page_passes(page: tuple[Ledger, Any]) -> None:
    ledger, module = page
    for run in ledger.runs():
        jobs.cancel(run.id)

    # The only one that books no hotel for any reason but the plan's.
    module.hotels.book = lambda trip: f"H{trip}"
    module.test_a_booked_flight_is_cancelled_once_when_there_is_no_hotel(ledger)


def amount(ledger: Ledger, table: Table) -> int:
    with ledger.app.database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def count(ledger: Ledger, kind: str) -> int:
    from jobs.database.models import JobRun

    with ledger.app.database.read() as connection:
        return connection.scalar(select(func.count()).select_from(JobRun).where(JobRun.kind == kind)) or 0


def cancel_all(ledger: Ledger, kind: str) -> None:
    from sqlalchemy import delete

    from jobs.database.models import JobRun

    with ledger.app.database.write() as connection:
        connection.execute(delete(JobRun).where(JobRun.kind == kind))
