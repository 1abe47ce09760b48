"""Targets by the API and on their pages: set, listed with their budgets, and cleared."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.testclient import TestClient

from jobs.app import App
from jobs.states import RunState
from tests.book import Book


def test_targets_are_set_listed_with_their_budgets_and_cleared(operator_client: TestClient, app: App) -> None:
    Book(app.database, now=datetime.now(UTC)).bring(RunState.DEAD)

    assert operator_client.put("/v1/queues/default/target", json={"latency_seconds": 30}).json()["data"] == {
        "latency_seconds": 30, "success": None,
    }  # fmt: skip
    operator_client.put("/v1/queues/default/target", json={"success": 0.9})
    operator_client.put("/v1/kinds/Mail/target", json={"success": 0.99})
    first = operator_client.get("/v1/targets?limit=1").json()
    second = operator_client.get(f"/v1/targets?cursor={first['pagination']['next_cursor']}").json()
    (kind,), (queue,) = first["data"], second["data"]

    assert (kind["what"], kind["name"], kind["latency_seconds"], kind["is_set"]) == ("kind", "Mail", None, True)
    assert (queue["latency_seconds"], queue["success"]) == (30, 0.9)
    burn = next(one for one in queue["budget"]["burns"] if one["window"] == "1h")
    assert (burn["succeeded"], burn["dead"], round(burn["rate"], 3)) == (0, 1, 10.0)
    assert queue["budget"]["burning"] is None, "a single dead run"
    assert operator_client.put("/v1/kinds/Mail/target", json={}).status_code == 422
    assert operator_client.put("/v1/kinds/Mail/target", json={"success": 1.0}).status_code == 422
    assert operator_client.put("/v1/kinds/Nosuch/target", json={"success": 0.9}).status_code == 404
    assert operator_client.delete("/v1/kinds/Mail/target").status_code == 204
    assert operator_client.delete("/v1/kinds/Mail/target").status_code == 409
