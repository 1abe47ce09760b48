"""Targets by the API and on their pages: set, listed with their budgets, and cleared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

from jobs.app import App
from jobs.operations.access.tokens import create_token
from jobs.operations.audit.operator import ROLES as PERMISSIONS
from jobs.operations.audit.operator import Operator
from jobs.states import RunState
from tests.admin_api.conftest import MakeClient
from tests.book import Book


@pytest.fixture
def client(app: App, make_client: MakeClient, users: dict[str, str], shell: Operator) -> TestClient:
    _, secret = create_token(
        app, shell, user=users["operator"], name="t", permissions=sorted(PERMISSIONS["operator"]),
        lasts=timedelta(days=1),
    )  # fmt: skip
    return make_client(secret)


def test_targets_are_set_listed_with_their_budgets_and_cleared(client: TestClient, app: App) -> None:
    Book(app.database, now=datetime.now(UTC)).bring(RunState.DEAD)

    assert client.put("/v1/queues/default/target", json={"latency_seconds": 30}).json()["data"] == {
        "latency_seconds": 30, "success": None,
    }  # fmt: skip
    client.put("/v1/queues/default/target", json={"success": 0.9})
    client.put("/v1/kinds/Mail/target", json={"success": 0.99})
    first = client.get("/v1/targets?limit=1").json()
    second = client.get(f"/v1/targets?cursor={first['pagination']['next_cursor']}").json()
    (kind,), (queue,) = first["data"], second["data"]

    assert (kind["what"], kind["name"], kind["latency_seconds"], kind["is_set"]) == ("kind", "Mail", None, True)
    assert (queue["latency_seconds"], queue["success"]) == (30, 0.9)
    burn = next(one for one in queue["budget"]["burns"] if one["window"] == "1h")
    assert (burn["succeeded"], burn["dead"], round(burn["rate"], 3)) == (0, 1, 10.0)
    assert queue["budget"]["burning"] is None, "a single dead run"
    assert client.put("/v1/kinds/Mail/target", json={}).status_code == 422
    assert client.put("/v1/kinds/Mail/target", json={"success": 1.0}).status_code == 422
    assert client.put("/v1/kinds/Nosuch/target", json={"success": 0.9}).status_code == 404
    assert client.delete("/v1/kinds/Mail/target").status_code == 204
    assert client.delete("/v1/kinds/Mail/target").status_code == 409
