"""The API shows the runs of the ledger; lists continue by cursor, and what the operator may not see is hidden."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from jobs import Job
from jobs.app import App
from jobs.definition import registry
from jobs.definition.redaction import HIDDEN
from jobs.ledger.records import Failure
from jobs.operations.access.tokens import create_token
from jobs.operations.audit.operator import ROLES as PERMISSIONS
from jobs.operations.audit.operator import Operator
from jobs.states import Outcome, RunState
from tests.admin_api.conftest import MakeClient
from tests.book import Book
from tests.waiting import wait_until

As = Callable[[str], TestClient]
DECLINED = Failure("CardDeclined", "card 4242 declined", "Traceback…", "ab12cd34ef")


@pytest.fixture
def as_role(app: App, make_client: MakeClient, users: dict[str, str], shell: Operator) -> As:
    """``as_role("viewer")``: a client with a token of that role."""

    def make(role: str) -> TestClient:
        _, secret = create_token(
            app, shell, user=users[role], name="t", permissions=sorted(PERMISSIONS[role]), lasts=timedelta(days=1)
        )
        return make_client(secret)

    return make


@pytest.fixture
def admin(as_role: As) -> TestClient:
    return as_role("admin")


@pytest.fixture
def book(app: App) -> Book:
    return Book(app.database, now=datetime.now(UTC))


@pytest.fixture(autouse=True)
def charge() -> Iterator[None]:
    class Charge(Job, queue="payments"):
        order_id: int
        card: str = "ok"

        def idempotency_key(self) -> str:
            return f"order:{self.order_id}"

        def perform(self) -> None: ...

    yield
    registry.forget("Charge")


def dead(book: Book, number: int = 1) -> list[UUID]:
    found = []
    for _ in range(number):
        run_id = book.enqueue(kind="Charge", arguments={"order_id": 7}, max_attempts=1)
        (held,) = book.claim(run_id, kinds=("Charge",))
        book.end(held, Outcome.FAILED, failure=DECLINED)
        found.append(run_id)
    return found


def data(answer: Any) -> Any:
    assert answer.status_code < 300, answer.text
    assert set(answer.json()) == {"data", "error", "meta", "pagination"}
    return answer.json()["data"]


def every(client: TestClient, path: str, **params: Any) -> list[Any]:
    """All pages of a list."""
    found, cursor = [], None
    for _ in range(100):
        answer = client.get(path, params={**params, **({"cursor": cursor} if cursor else {})})
        page = data(answer)
        assert len(page) <= answer.json()["pagination"]["limit"]
        found += page
        cursor = answer.json()["pagination"]["next_cursor"]
        if cursor is None:
            return found
    raise AssertionError(f"{path} has no end")


def test_a_run_is_recorded_found_and_shown_with_all_its_parts(admin: TestClient) -> None:
    made = admin.post(
        "/v1/runs", json={"kind": "Charge", "arguments": {"order_id": 7}, "tags": ["eu"], "reason": "by hand"}
    )

    assert (made.status_code, made.headers["location"]) == (201, f"/v1/runs/{data(made)['id']}")
    run = data(admin.get(made.headers["location"]))
    assert (run["kind"], run["queue"], run["word"], run["arguments"]) == (
        "Charge", "payments", "ready", {"order_id": 7, "card": "ok"},
    )  # fmt: skip
    assert run["enqueued_by"] == "the-admin"
    assert run["correlation_id"] == made.headers["x-request-id"]
    for part in ("attempts", "steps", "children", "replays", "followups"):
        assert data(admin.get(f"/v1/runs/{run['id']}/{part}")) == []
    assert data(admin.get(f"/v1/runs/{run['id'][-8:]}/explanation"))["code"] == "no_worker"
    entry = data(admin.get("/v1/audit-entries"))[0]
    assert (entry["verb"], entry["actor"], entry["reason"]) == ("enqueue", "the-admin", "by hand")
    assert entry["request_id"] == made.headers["x-request-id"]


def test_a_held_key_returns_its_run_and_other_arguments_conflict(admin: TestClient) -> None:
    first = admin.post("/v1/runs", json={"kind": "Charge", "arguments": {"order_id": 7}})
    again = admin.post("/v1/runs", json={"kind": "Charge", "arguments": {"order_id": 7}})
    other = admin.post("/v1/runs", json={"kind": "Charge", "arguments": {"order_id": 7, "card": "no"}})

    assert (again.status_code, data(again)["id"], data(again)["created"]) == (200, data(first)["id"], False)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "key_conflict")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"kind": "Charge", "arguments": {"order_id": "x"}}, 422, "bad_arguments"),
        ({"kind": "Charge", "arguments": {"order_id": 7, "card": "\x00"}}, 422, "bad_arguments"),
        ({"kind": "Charge", "arguments": {"order_id": 7, "card": "\ud800"}}, 422, "bad_arguments"),
        ({"kind": "Charge", "arguments": {"order_id": 7, "nope": 1}}, 422, "bad_arguments"),
        ({"kind": "Chrage", "arguments": {}}, 404, "not_found"),
        ({"kind": "Charge", "arguments": {"order_id": 7}, "at": "2026-01-01T00:00:00"}, 422, "bad_value"),
        ({"kind": "Charge", "arguments": {"order_id": 7}, "queue": "a b"}, 422, "enqueue_refused"),
        ({"kind": "Charge", "argument": {}}, 422, "bad_value"),
    ],
)
def test_an_invalid_run_is_refused_with_the_command_lines_message(
    admin: TestClient, body: dict[str, Any], status: int, code: str
) -> None:
    import json

    answer = admin.post("/v1/runs", content=json.dumps(body), headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["data"] is None
    assert data(admin.get("/v1/runs")) == []


def test_lists_accept_the_command_lines_query_and_continue_without_gaps(admin: TestClient, book: Book) -> None:
    ids = dead(book, 5)
    book.enqueue(kind="Other")

    assert {one["id"] for one in every(admin, "/v1/runs", limit=2)} >= {str(one) for one in ids}
    assert len(every(admin, "/v1/runs", limit=2)) == 6
    found = every(admin, "/v1/runs", limit=2, where="state:dead kind:Ch* args.order_id:7")
    assert [one["id"] for one in found] == [str(one) for one in reversed(ids)]
    assert len(every(admin, "/v1/dead-letters", limit=3)) == 5
    counted = admin.get("/v1/runs", params={"state": "dead", "count": True}).json()["meta"]["count"]
    assert counted == {"number": 5, "is_capped": False, "shown": "5"}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"limit": 0}, "bad_value"),
        ({"limit": 501}, "bad_value"),
        ({"cursor": "x"}, "selector"),
        ({"where": "stat:dead"}, "selector"),
        ({"state": "dying"}, "selector"),
        ({"staet": "dead"}, "bad_value"),
        ({"since": "once"}, "selector"),
    ],
)
def test_an_invalid_filter_is_refused_and_never_lists_everything(
    admin: TestClient, params: dict[str, Any], code: str
) -> None:
    answer = admin.get("/v1/runs", params=params)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


def test_a_mistake_in_a_query_is_pointed_at(admin: TestClient) -> None:
    error = admin.get("/v1/runs", params={"where": "kind:A stat:dead"}).json()["error"]

    assert error["details"] == [{"pointer": ["kind:A stat:dead", "       ^"]}]
    assert error["hint"] == "Did you mean 'state'?"


def test_without_arguments_read_arguments_are_hidden_and_cannot_be_searched(as_role: As, book: Book) -> None:
    (run_id,) = dead(book)
    viewer = as_role("viewer")

    run = data(viewer.get(f"/v1/runs/{run_id}"))
    said = [run["arguments"], run["result"], run["progress"], run["error_message"]]
    (attempt,) = data(viewer.get(f"/v1/runs/{run_id}/attempts"))
    said += [attempt["error_message"], attempt["traceback"]]
    said += [data(viewer.get("/v1/dead-letter-groups"))[0]["error_message"]]
    said += [data(viewer.get("/v1/errors"))[0]["error_message"]]

    assert set(said) == {HIDDEN}
    assert "4242" not in viewer.get(f"/v1/runs/{run_id}/explanation").text
    for params in (
        {"arg": "order_id=7"},
        {"where": "args.order_id:7"},
        {"error": "4242"},
        {"arg": "x=1", "count": True},
    ):
        assert viewer.get("/v1/runs", params=params).status_code == 403
    assert "4242" in as_role("operator").get(f"/v1/runs/{run_id}/explanation").text


def test_a_current_etag_gets_304_until_the_run_changes(admin: TestClient, book: Book) -> None:
    (run_id,) = dead(book)
    first = admin.get(f"/v1/runs/{run_id}")
    tag = first.headers["etag"]

    again = admin.get(f"/v1/runs/{run_id}", headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert first.headers["cache-control"] == "private, no-cache"
    assert first.headers["vary"] == "Authorization"

    book.reopen(run_id)
    changed = admin.get(f"/v1/runs/{run_id}", headers={"If-None-Match": tag})
    assert (changed.status_code, changed.headers["etag"] == tag) == (200, False)


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
