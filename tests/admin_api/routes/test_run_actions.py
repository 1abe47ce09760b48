"""Actions on runs over the API: in the background, stopped by DELETE or with the API, undone."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from jobs.app import App
from jobs.operations.audit.operator import Operator
from jobs.states import RunState
from tests.admin_api.conftest import MakeClient
from tests.admin_api.routes.charges import As, data, dead, every
from tests.admin_api.routes.charges import admin as admin
from tests.admin_api.routes.charges import as_role as as_role
from tests.admin_api.routes.charges import book as book
from tests.admin_api.routes.charges import charge as charge
from tests.book import Book
from tests.waiting import wait_until


def test_runs_are_replayed_in_the_background_and_it_can_be_undone(
    app: App, admin: TestClient, book: Book, shell: Operator
) -> None:
    ids = dead(book, 3)
    what = {"selector": {"state": ["dead"], "kind": ["Charge"]}, "reason": "card service is back"}

    planned = admin.post("/v1/replays", json={**what, "dry_run": True})
    assert (planned.status_code, data(planned)["count"], data(planned)["groups"]) == (
        200, 3, [{"kind": "Charge", "state": "dead", "count": 3}],
    )  # fmt: skip
    assert {book.run(one).state for one in ids} == {RunState.DEAD}

    refused = admin.post("/v1/replays", json={**what, "expect": 2})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")

    begun = admin.post("/v1/replays", json={**what, "expect": 3})
    assert begun.status_code == 202
    place = begun.headers["location"]
    assert place == f"/v1/replays/{data(begun)['id']}"
    assert wait_until(lambda: data(admin.get(place))["state"] == "finished", seconds=60)
    done = data(admin.get(place))
    assert (done["done"], done["skipped"], done["expected"], done["actor"]) == (3, 0, 3, "the-admin")
    assert {book.run(one).state for one in ids} == {RunState.QUEUED}
    assert admin.delete(place).status_code == 409
    assert data(admin.get("/v1/replays"))[0]["id"] == done["id"]
    assert len(every(admin, f"/v1/audit-entries/{done['id']}/runs", limit=2)) == 3

    undone = admin.post(f"/v1/audit-entries/{done['id']}/undos", json={"reason": "not yet"})
    assert undone.status_code == 202
    assert wait_until(lambda: data(admin.get(undone.headers["location"]))["state"] == "finished", seconds=60)
    assert {book.run(one).state for one in ids} == {RunState.DEAD}
    assert data(admin.get(f"/v1/audit-entries/{done['id']}"))["undone_by"] == data(undone)["id"]


def test_an_empty_selection_selects_nothing(admin: TestClient, book: Book) -> None:
    dead(book)

    for place in ("replays", "cancellations", "purges", "restorations"):
        answer = admin.post(f"/v1/{place}", json={"selector": {}})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "selector"), place


def test_an_api_that_stops_stops_its_actions_and_records_it(
    app: App, make_client: MakeClient, as_role: As, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead(book, 30)  # Half a minute, at one a second.
    admin = as_role("admin")

    begun = admin.post("/v1/replays", json={"selector": {"all": True}, "rate": 1})
    place = begun.headers["location"]
    assert wait_until(lambda: data(admin.get(place))["done"] > 0, seconds=60)
    # Ends the lifespan, as a server does on SIGTERM.
    admin.__exit__(None, None, None)

    other = as_role("admin")
    left = data(other.get(place))
    assert left["state"] == "interrupted"
    assert 0 < left["done"] < 30
    assert other.post("/v1/replays", json={"selector": {"all": True}, "resume": left["id"]}).status_code == 202
    assert wait_until(lambda: data(other.get(place))["state"] == "finished", seconds=60)
    assert data(other.get(place))["done"] == 30


def test_a_running_action_is_stopped_by_delete(admin: TestClient, book: Book) -> None:
    dead(book, 30)  # Half a minute, at one a second.
    place = admin.post("/v1/replays", json={"selector": {"all": True}, "rate": 1}).headers["location"]
    assert wait_until(lambda: data(admin.get(place))["done"] > 0, seconds=60)

    assert admin.delete(place).status_code == 204

    assert data(admin.get(place))["state"] == "interrupted"


def test_a_write_drops_cached_reports(admin: TestClient, book: Book) -> None:
    assert data(admin.get("/v1/statistics"))["counts"]["ready"]["number"] == 0
    admin.post("/v1/runs", json={"kind": "Charge", "arguments": {"order_id": 7}})

    assert data(admin.get("/v1/statistics"))["counts"]["ready"]["number"] == 1
