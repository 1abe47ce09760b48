"""Idempotency-Key: a request that comes again is answered as it was, and not done again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from jobs import Job, registry
from jobs.app import App
from jobs.errors import LedgerBusy
from jobs.operations import once
from jobs.operations.operator import ROLES as PERMISSIONS
from jobs.operations.operator import Operator
from jobs.operations.tokens import create_token
from tests.admin_api.conftest import MakeClient, StepClock

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


def test_the_same_request_is_done_once_and_answered_alike(admin: TestClient) -> None:
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


def test_a_request_that_did_nothing_leaves_its_key_free(admin: TestClient) -> None:
    assert admin.post("/v1/runs", json={"kind": "Nail"}, headers=KEY).status_code == 404
    assert admin.post("/v1/runs", json={"kind": 7}, headers=KEY).status_code == 422

    assert admin.post("/v1/runs", json=RUN, headers=KEY).status_code == 201


def test_after_a_day_the_key_is_new(admin: TestClient, clock: StepClock) -> None:
    admin.post("/v1/runs", json=RUN, headers=KEY)
    clock.step(timedelta(days=1))

    assert "idempotent-replayed" not in admin.post("/v1/runs", json=RUN, headers=KEY).headers
    assert len(runs(admin)) == 2


def test_who_died_at_work_leaves_it_unknown_and_says_so(
    app: App, admin: TestClient, clock: StepClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*args: Any) -> None:
        raise RuntimeError("the process is gone")

    with monkeypatch.context() as patch:
        patch.setattr(once, "end", die)
        assert admin.post("/v1/runs", json=RUN, headers=KEY).status_code == 500

    soon = admin.post("/v1/runs", json=RUN, headers=KEY)
    clock.step(timedelta(minutes=2))
    later = admin.post("/v1/runs", json=RUN, headers=KEY)

    assert (soon.status_code, later.status_code) == (409, 409)
    assert "is being done" in soon.json()["error"]["message"]
    assert "nobody knows how it ended" in later.json()["error"]["message"]
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


def test_a_secret_is_told_once_and_kept_nowhere(app: App, admin: TestClient) -> None:
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
def test_a_key_that_cannot_be_is_refused(admin: TestClient, key: str) -> None:
    assert admin.post("/v1/runs", json=RUN, headers={"Idempotency-Key": key}).status_code == 422
    assert runs(admin) == []


def test_two_keys_are_refused(admin: TestClient) -> None:
    answer = admin.post("/v1/runs", json=RUN, headers=[("Idempotency-Key", "a-key"), ("Idempotency-Key", "b-key")])

    assert answer.status_code == 422
