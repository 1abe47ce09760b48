"""Idempotency-Key: a repeated request gets the first response and is not performed again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from jobs import Job
from jobs.app import App
from jobs.definition import registry
from jobs.errors import LedgerBusy
from jobs.operations.access.tokens import create_token
from jobs.operations.audit import idempotency
from jobs.operations.audit.operator import ROLES as PERMISSIONS
from jobs.operations.audit.operator import Operator
from tests.admin_api.conftest import MakeClient, StepClock
from tests.waiting import wait_until

RUN = {"kind": "Mail", "arguments": {}}
KEY = {"Idempotency-Key": "order-7"}


@pytest.fixture(autouse=True)
def mail() -> Iterator[None]:
    class Mail(Job):
        def perform(self) -> None: ...

    yield
    registry.forget("Mail")


@pytest.fixture
def clients(app: App, make_client: MakeClient, users: dict[str, str], shell: Operator) -> dict[str, TestClient]:
    made = {}
    for role, name in users.items():
        _, secret = create_token(
            app, shell, user=name, name="t", permissions=sorted(PERMISSIONS[role]), lasts=timedelta(days=9)
        )
        made[role] = make_client(secret)
    return made


@pytest.fixture
def admin(clients: dict[str, TestClient]) -> TestClient:
    return clients["admin"]


def runs(client: TestClient) -> list[Any]:
    found: list[Any] = client.get("/v1/runs").json()["data"]
    return found


def test_a_repeated_request_is_performed_once_and_gets_the_same_response(admin: TestClient) -> None:
    first, again = (admin.post("/v1/runs", json=RUN, headers=KEY) for _ in range(2))

    assert (again.status_code, again.json(), again.headers["location"]) == (
        201,
        first.json(),
        first.headers["location"],
    )
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert len(runs(admin)) == 1


def test_another_request_with_the_key_conflicts(admin: TestClient) -> None:
    admin.post("/v1/runs", json=RUN, headers=KEY)

    other = admin.post("/v1/runs", json={**RUN, "tags": ["x"]}, headers=KEY)
    elsewhere = admin.post("/v1/replays", json={"selector": {"all": True}, "dry_run": True}, headers=KEY)

    assert (other.status_code, elsewhere.status_code) == (409, 409)
    assert other.json()["error"]["code"] == "conflict"
    assert len(runs(admin)) == 1


def test_a_key_is_its_operators_own(clients: dict[str, TestClient]) -> None:
    for role in ("admin", "operator"):
        assert "idempotent-replayed" not in clients[role].post("/v1/runs", json=RUN, headers=KEY).headers

    assert len(runs(clients["admin"])) == 2


def test_a_request_that_changed_nothing_leaves_its_key_free(admin: TestClient) -> None:
    assert admin.post("/v1/runs", json={"kind": "Nail"}, headers=KEY).status_code == 404
    assert admin.post("/v1/runs", json={"kind": 7}, headers=KEY).status_code == 422

    assert admin.post("/v1/runs", json=RUN, headers=KEY).status_code == 201


def test_after_a_day_the_key_is_new(admin: TestClient, clock: StepClock) -> None:
    admin.post("/v1/runs", json=RUN, headers=KEY)
    clock.step(timedelta(days=1))

    assert "idempotent-replayed" not in admin.post("/v1/runs", json=RUN, headers=KEY).headers
    assert len(runs(admin)) == 2


def test_a_process_that_died_during_a_request_leaves_its_outcome_unknown(
    app: App, admin: TestClient, clock: StepClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*args: Any) -> None:
        raise RuntimeError("the process is gone")

    with monkeypatch.context() as patch:
        patch.setattr(idempotency, "end", die)
        assert admin.post("/v1/runs", json=RUN, headers=KEY).status_code == 500

    soon = admin.post("/v1/runs", json=RUN, headers=KEY)
    clock.step(timedelta(minutes=2))
    later = admin.post("/v1/runs", json=RUN, headers=KEY)

    assert (soon.status_code, later.status_code) == (409, 409)
    assert "is being done" in soon.json()["error"]["message"]
    assert "its result is unknown" in later.json()["error"]["message"]
    assert len(runs(admin)) == 1


def test_a_ledger_that_was_busy_leaves_the_key_free(admin: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from admin_api.routes import runs as route

    def busy(*args: Any, **given: Any) -> None:
        raise LedgerBusy("busy")

    with monkeypatch.context() as patch:
        patch.setattr(route, "enqueue_run", busy)
        answer = admin.post("/v1/runs", json=RUN, headers=KEY)

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ledger_busy")
    assert answer.headers["retry-after"] == "2"
    assert admin.post("/v1/runs", json=RUN, headers=KEY).status_code == 201


def test_a_secret_is_shown_once_and_stored_nowhere(app: App, admin: TestClient) -> None:
    asked = {"user": "the-admin", "name": "deploys", "permissions": ["runs:read"], "lasts_days": 1}
    first, again = (admin.post("/v1/tokens", json=asked, headers=KEY) for _ in range(2))

    secret = first.json()["data"]["secret"]
    assert secret.startswith("jl_")
    assert again.json()["data"] == {**first.json()["data"], "secret": None}
    with app.database.read() as connection:
        kept = connection.exec_driver_sql("select answer from operator_requests").scalars().all()
    assert len(kept) == 1
    assert secret not in str(kept)


@pytest.mark.parametrize("key", ["", "with space", "a" * 101])
def test_an_invalid_key_is_refused(admin: TestClient, key: str) -> None:
    assert admin.post("/v1/runs", json=RUN, headers={"Idempotency-Key": key}).status_code == 422
    assert runs(admin) == []


def test_two_keys_are_refused(admin: TestClient) -> None:
    answer = admin.post("/v1/runs", json=RUN, headers=[("Idempotency-Key", "a-key"), ("Idempotency-Key", "b-key")])

    assert answer.status_code == 422


def secret_of(app: App, shell: Operator, *permissions: str) -> str:
    return create_token(
        app, shell, user="the-admin", name="n", permissions=permissions, lasts=timedelta(days=1)
    )[1]  # fmt: skip


def test_a_token_with_fewer_permissions_does_not_get_the_stored_response(
    app: App, admin: TestClient, make_client: MakeClient, shell: Operator
) -> None:
    """K2.6: the same user, the same key and the same body."""
    narrow = make_client(secret_of(app, shell, "runs:read"))
    dry = {"selector": {"all": True}, "dry_run": True}
    for path, body in (("/v1/runs", RUN), ("/v1/cancellations", dry), ("/v1/replays", {"selector": {"all": True}})):
        key = {"Idempotency-Key": path}
        wide = admin.post(path, json=body, headers=key)
        answer = narrow.post(path, json=body, headers=key)

        assert wide.status_code < 300, wide.text
        assert (answer.status_code, answer.json()["data"]) == (403, None)
    assert len(runs(admin)) == 1


def test_another_token_with_the_same_permissions_gets_the_stored_response(
    app: App, admin: TestClient, make_client: MakeClient, shell: Operator
) -> None:
    other = make_client(secret_of(app, shell, *PERMISSIONS["admin"]))

    first, again = admin.post("/v1/runs", json=RUN, headers=KEY), other.post("/v1/runs", json=RUN, headers=KEY)

    assert first.json()["data"] == again.json()["data"]
    assert again.headers["idempotent-replayed"] == "true"


def kept(app: App) -> list[str]:
    with app.database.read() as connection:
        return [str(one) for one in connection.exec_driver_sql("select answer from operator_requests").scalars()]


def test_the_response_of_a_dry_run_is_not_stored(app: App, admin: TestClient) -> None:
    """K2.6: its response shows arguments, and it changed nothing."""
    admin.post("/v1/runs", json={"kind": "Mail", "arguments": {}, "tags": ["a-persons-name"]})
    dry = {"selector": {"all": True}, "dry_run": True}

    answers = [admin.post("/v1/cancellations", json=dry, headers=KEY) for _ in range(2)]

    assert "a-persons-name" in answers[0].text
    assert [one.headers.get("idempotent-replayed") for one in answers] == [None, None]
    assert kept(app) == []


def test_erased_data_is_erased_from_stored_responses_too(app: App, admin: TestClient) -> None:
    """K2.6"""
    run = admin.post("/v1/runs", json=RUN, headers={"Idempotency-Key": "run"}).json()["data"]["id"]
    schedule = {"name": "s", "kind": "Mail", "arguments": {}, "when": {"type": "every", "interval_seconds": 60}}
    made = admin.post("/v1/schedules", json={**schedule, "name": "a-persons-name"}, headers=KEY)
    assert (made.status_code, sum("a-persons-name" in one for one in kept(app))) == (201, 1)
    assert ends(admin, "cancellations", {"selector": {"id": [run]}})

    assert ends(admin, "purges", {"selector": {"id": [run]}, "erase": True})

    assert not any("a-persons-name" in one for one in kept(app))
    again = admin.post("/v1/schedules", json={**schedule, "name": "a-persons-name"}, headers=KEY)
    assert (again.status_code, "erased" in again.json()["error"]["message"]) == (409, True)
    # A response that contains only an id is stored.
    assert admin.post("/v1/runs", json=RUN, headers={"Idempotency-Key": "run"}).json()["data"]["id"] == run


def ends(client: TestClient, place: str, body: dict[str, Any]) -> bool:
    """Begin an action and wait for its end; returns whether it succeeded."""
    action = client.post(f"/v1/{place}", json=body).json()["data"]["id"]
    found: dict[str, Any] = {}

    def is_over() -> bool:
        found.update(client.get(f"/v1/{place}/{action}").json()["data"])
        return bool(found["state"] != "running")

    assert wait_until(is_over, seconds=60)
    return bool(found["state"] == "finished" and found["done"] == 1)
