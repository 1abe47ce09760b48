"""Retention of queues by the API: set state by state, shown with the queue, and cleared."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.testclient import TestClient

from jobs.app import App
from jobs.states import RunState
from tests.book import Book

PLACE = "/v1/queues/default/retention"


def test_a_queue_is_retained_and_shown_and_cleared(operator_client: TestClient, app: App) -> None:
    Book(app.database, now=datetime.now(UTC)).bring(RunState.DEAD)

    operator_client.put(PLACE, json={"dead_seconds": 3600})
    answer = operator_client.put(PLACE, json={"succeeded_seconds": "never", "dead_seconds": "clear"}).json()["data"]

    assert answer == [
        {"state": "succeeded", "seconds": None, "is_set": True},
        {"state": "cancelled", "seconds": 2592000.0, "is_set": False},
        {"state": "dead", "seconds": None, "is_set": False},
    ]
    assert operator_client.get("/v1/queues/default").json()["data"]["retention"] == answer
    for wrong in ({}, {"dead_seconds": 0}, {"dead_seconds": "soon"}, {"dead_seconds": 1e12}):
        assert operator_client.put(PLACE, json=wrong).status_code == 422, wrong
    assert operator_client.put("/v1/queues/nosuch/retention", json={"dead_seconds": 60}).status_code == 404
    assert operator_client.delete(PLACE).status_code == 204
    assert operator_client.delete(PLACE).status_code == 409
