"""Retention of queues by the API: set state by state, shown with the queue, and cleared."""

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

PLACE = "/v1/queues/default/retention"


@pytest.fixture
def client(app: App, make_client: MakeClient, users: dict[str, str], shell: Operator) -> TestClient:
    _, secret = create_token(
        app, shell, user=users["operator"], name="t", permissions=sorted(PERMISSIONS["operator"]),
        lasts=timedelta(days=1),
    )  # fmt: skip
    return make_client(secret)


def test_a_queue_is_retained_and_shown_and_cleared(client: TestClient, app: App) -> None:
    Book(app.database, now=datetime.now(UTC)).bring(RunState.DEAD)

    client.put(PLACE, json={"dead_seconds": 3600})
    answer = client.put(PLACE, json={"succeeded_seconds": "never", "dead_seconds": "clear"}).json()["data"]

    assert answer == [
        {"state": "succeeded", "seconds": None, "is_set": True},
        {"state": "cancelled", "seconds": 2592000.0, "is_set": False},
        {"state": "dead", "seconds": None, "is_set": False},
    ]
    assert client.get("/v1/queues/default").json()["data"]["retention"] == answer
    for wrong in ({}, {"dead_seconds": 0}, {"dead_seconds": "soon"}, {"dead_seconds": 1e12}):
        assert client.put(PLACE, json=wrong).status_code == 422, wrong
    assert client.put("/v1/queues/nosuch/retention", json={"dead_seconds": 60}).status_code == 404
    assert client.delete(PLACE).status_code == 204
    assert client.delete(PLACE).status_code == 409
