"""The API shows the runs of the ledger; lists continue by cursor, and what the operator may not see is hidden."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from jobs.definition.redaction import HIDDEN
from tests.admin_api.routes.charges import As, data, dead, every
from tests.admin_api.routes.charges import admin as admin
from tests.admin_api.routes.charges import as_role as as_role
from tests.admin_api.routes.charges import book as book
from tests.admin_api.routes.charges import charge as charge
from tests.book import Book


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
