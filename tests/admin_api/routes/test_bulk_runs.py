"""POST /v1/runs/bulk: up to a thousand runs in one transaction, also of kinds that the server does not import."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from jobs import Job, Retry
from jobs.app import App
from jobs.definition import registry
from jobs.definition.published import published_kinds
from jobs.ledger.published_kinds import publish_kinds
from jobs.operations.access.tokens import create_token
from jobs.operations.audit.operator import Operator
from tests.admin_api.conftest import MakeClient


@pytest.fixture
def admin(app: App, make_client: MakeClient, users: dict[str, str], shell: Operator) -> TestClient:
    _, secret = create_token(
        app, shell, user=users["admin"], name="t", permissions=["runs:enqueue", "runs:read", "arguments:read",
        "audit:read"], lasts=timedelta(days=1),
    )  # fmt: skip
    return make_client(secret)


@pytest.fixture(autouse=True)
def kinds(app: App) -> Iterator[None]:
    """``BulkCharge`` is known here; a worker elsewhere knows ``Goods``."""

    class BulkCharge(Job, queue="payments"):
        order_id: int

        def perform(self) -> None: ...

        def idempotency_key(self) -> str:
            return f"order:{self.order_id}"

    class Goods(Job, queue="goods", priority=5, retry=Retry(max_attempts=2), version=4):
        order_id: int
        to: str | None = None

        def perform(self) -> None: ...

    with app.database.write() as connection:
        publish_kinds(connection, [one for one in published_kinds(500) if one.kind == "Goods"])
    registry.forget("Goods")
    yield
    registry.forget("BulkCharge")


def post(client: TestClient, *runs: dict[str, Any]) -> Any:
    return client.post("/v1/runs/bulk", json={"runs": list(runs), "reason": "moved"})


def test_runs_of_known_and_unknown_kinds_are_recorded_in_order(admin: TestClient) -> None:
    answer = post(
        admin,
        {
            "kind": "BulkCharge",
            "arguments": {"order_id": 1},
            "on_success": [{"kind": "Goods", "arguments": {"order_id": 1}}],
        },
        {
            "kind": "Goods",
            "arguments": {"order_id": 2, "to": "ann"},
            "key": "k",
            "tags": ["eu"],
            "delay_seconds": 60,
        },
        {"kind": "Goods", "arguments": {"order_id": 2, "to": "ann"}, "key": "k"},
    )

    assert answer.status_code == 201, answer.text
    first, second, third = answer.json()["data"]
    assert (first["created"], second["created"], third) == (True, True, {"id": second["id"], "created": False})
    run = admin.get(f"/v1/runs/{second['id']}").json()["data"]
    assert (run["kind"], run["queue"], run["priority"], run["tags"]) == ("Goods", "goods", 5, ["eu"])
    assert (run["arguments"], run["max_attempts"], run["word"]) == ({"order_id": 2, "to": "ann"}, 2, "scheduled")
    (then,) = admin.get(f"/v1/runs/{first['id']}/followups").json()["data"]
    assert (then["kind"], then["on_state"]) == ("Goods", "succeeded")
    entry = admin.get("/v1/audit-entries").json()["data"][0]
    assert (entry["verb"], entry["target"], entry["done"], entry["reason"]) == ("enqueue", "bulk 3 runs", 2, "moved")
    again = post(admin, {"kind": "Goods", "arguments": {"to": "ann", "order_id": 2}, "key": "k"})
    assert again.json()["data"] == [third]


@pytest.mark.parametrize(
    ("wrong", "status", "code", "why"),
    [
        ({"kind": "Goodss"}, 404, "not_found", "Run 1: This process knows no job of the kind 'Goodss'"),
        ({"kind": "Goods"}, 422, "bad_arguments", "Run 1: Arguments of Goods do not fit: order_id is missing"),
        ({"kind": "Goods", "arguments": {"order_id": "x"}}, 422, "bad_arguments", "takes integer, got string"),
        ({"kind": "Goods", "arguments": {"order_id": 1, "by": 2}}, 422, "bad_arguments", "by is no field"),
        (
            {"kind": "Goods", "arguments": {"order_id": 1, "to": 2}},
            422,
            "bad_arguments",
            "string or null, got integer",
        ),
        ({"kind": "BulkCharge", "arguments": {"order_id": "x"}}, 422, "bad_arguments", "Run 1: "),
        ({"kind": "Goods", "arguments": {"order_id": 1}, "queue": "a b"}, 422, "enqueue_refused", "Run 1: "),
        ({"kind": "Goods", "arguments": {"order_id": 9}, "key": "k"}, 409, "key_conflict", "arguments differ"),
        ({"kind": "Goods", "argument": {}}, 422, "bad_value", ""),
    ],
)
def test_one_wrong_run_refuses_all(admin: TestClient, wrong: dict[str, Any], status: int, code: str, why: str) -> None:
    post(admin, {"kind": "Goods", "arguments": {"order_id": 1}, "key": "k"})

    answer = post(admin, {"kind": "BulkCharge", "arguments": {"order_id": 5}}, wrong)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert why in error["message"]
    assert len(admin.get("/v1/runs").json()["data"]) == 1


def test_a_thousand_runs_are_one_request_and_one_more_is_refused(admin: TestClient) -> None:
    one = {"kind": "Goods", "arguments": {"order_id": 1}}

    answer = post(admin, *[one] * 1000)

    assert answer.status_code == 201
    assert len(answer.json()["data"]) == 1000
    assert post(admin, *[one] * 1001).status_code == 422
    assert post(admin).status_code == 422
