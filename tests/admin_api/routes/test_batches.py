"""Batches over the API, on their pages and at the command line: counts, members, cancel and replay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

import jobs
from jobs import Job
from jobs.app import App
from jobs.definition import registry
from jobs.operations.access import sign_in as signing
from jobs.states import RunState
from tests.admin_api.conftest import BASE, PASSWORD
from tests.book import Book
from tests.waiting import wait_until


@pytest.fixture
def nightly(app: App) -> Iterator[str]:
    """A batch of three members, of which one is dead, with an inner batch of one."""

    class NightlyPart(Job):
        n: int

        def perform(self) -> None: ...

    with jobs.batch("nightly") as batch:
        dead, *_ = batch.add_many(NightlyPart(n=n) for n in range(3))
        with batch.batch("inner") as inner:
            inner.add(NightlyPart(n=9))
    book = Book(app.database, now=datetime.now(UTC))
    (held,) = book.claim(dead, kinds=["NightlyPart"])
    book.end(held, jobs.Outcome.GAVE_UP, cause=jobs.Cause.GAVE_UP)
    yield str(batch.id)
    registry._classes.pop("NightlyPart")


def test_the_api_lists_shows_cancels_and_replays_batches(operator_client: TestClient, nightly: str, app: App) -> None:
    (listed,) = operator_client.get("/v1/batches?running=true").json()["data"]
    shown = operator_client.get(f"/v1/batches/{nightly[-8:]}").json()["data"]
    members = operator_client.get(f"/v1/runs?batch={nightly}").json()["data"]
    (inner,) = operator_client.get(f"/v1/batches/{nightly}/batches").json()["data"]

    assert listed == shown
    assert [shown[name] for name in ("name", "state", "total", "pending", "dead")] == ["nightly", "running", 4, 3, 1]
    assert (len(members), inner["name"], inner["parent_id"]) == (4, "inner", nightly)
    body = {"selector": {"batch": [nightly]}, "reason": "wrong file"}
    assert operator_client.post("/v1/replays", json=body).status_code == 202
    assert wait_until(lambda: jobs.find_batch(nightly).dead == 0, seconds=60)
    assert operator_client.post("/v1/cancellations", json=body).status_code == 202
    assert wait_until(lambda: jobs.find_batch(nightly).state == "cancelled", seconds=60)
    assert {one.state for one in jobs.find_batch(nightly).results()} == {RunState.CANCELLED}
    assert operator_client.get("/v1/batches/0123456789ab").status_code == 404


def test_the_pages_show_a_bar_and_the_members(
    app: App, anyone: TestClient, nightly: str, users: dict[str, str]
) -> None:
    secret = signing.sign_in(app, users["operator"], PASSWORD, kind="page").secret
    anyone.cookies.set("jobledger-session", secret)
    anyone.headers.update({"Accept": "text/html", "Sec-Fetch-Site": "same-origin", "Origin": BASE})
    ask: Callable[[str], str] = lambda path: anyone.get(path).text  # noqa: E731

    listed, shown = ask("/batches"), ask(f"/batches/{nightly}")

    assert 'max="4" value="1"' in listed
    assert "1 of 4 ended" in shown
    assert "NightlyPart" in shown
    assert "Replay" in ask(f"/actions/new?verb=replay&where=batch%3A{nightly}&state=dead")
