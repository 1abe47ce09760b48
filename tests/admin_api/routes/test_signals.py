"""Signals over the API, a callback URL, the page of a run and the command line reach a run that waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from starlette.testclient import TestClient

import jobs
from jobs import Job, RunState, boot
from jobs.app import App
from jobs.definition import registry
from jobs.definition.redaction import HIDDEN
from jobs.ledger.runs import claim as claiming
from jobs.operations.access import sign_in as signing
from jobs.operations.access.tokens import create_token
from jobs.operations.audit.operator import ROLES as PERMISSIONS
from jobs.operations.audit.operator import Operator
from jobs.testing.attempts import PlannedAttempts
from tests.admin_api.conftest import BASE, PASSWORD, MakeClient, StepClock
from tests.conftest import MakeApp

DAY = timedelta(days=1)


@pytest.fixture
def app(sqlite_url: str, make_app: MakeApp, clock: StepClock, monkeypatch: pytest.MonkeyPatch) -> App:
    made = make_app(sqlite_url, clock=clock, public_url="https://jobs.example.com")
    monkeypatch.setattr(boot, "_app", made)
    return made


@pytest.fixture
def client(app: App, make_client: MakeClient, users: dict[str, str], shell: Operator) -> Callable[[str], TestClient]:
    def make(role: str) -> TestClient:
        _, secret = create_token(
            app, shell, user=users[role], name="t", permissions=sorted(PERMISSIONS[role]), lasts=DAY
        )
        return make_client(secret)

    return make


@pytest.fixture
def urls() -> Iterator[list[str]]:
    """The callback URLs that the job of these tests makes; its kind is registered while they run."""
    made: list[str] = []

    class AskedOrder(Job):
        def perform(self) -> Any:
            self.run.once("ask", lambda: made.append(self.run.callback_url("approval", within=DAY)))
            return self.run.wait_for("approval")

    yield made
    registry._classes.pop("AskedOrder")


def attempt(app: App, run_id: UUID) -> None:
    """Make one attempt at the run, as a worker does."""
    with app.database.write() as connection:
        (claim,) = claiming.claim(connection, [run_id], kinds=["AskedOrder"], worker="w", lease=DAY)
    PlannedAttempts(app, stopping=threading.Event()).make(claim)


@pytest.fixture
def waiting(app: App, urls: list[str]) -> UUID:
    """A run that waits for its approval."""
    run_id = registry.get("AskedOrder")().enqueue().id
    attempt(app, run_id)
    assert jobs.find(run_id).held_on == "signal:approval"
    return UUID(str(run_id))


def test_an_operator_answers_a_run_and_the_audit_says_who(
    app: App, client: Callable[[str], TestClient], waiting: UUID
) -> None:
    body = {"name": "approval", "payload": {"by": "ada"}, "reason": "phoned"}

    operator = client("operator")
    first = operator.post(f"/v1/runs/{waiting}/signals", json=body)
    second = operator.post(f"/v1/runs/{waiting}/signals", json=body | {"payload": "other"})

    assert (first.status_code, first.json()["data"]) == (201, {"run_id": str(waiting), "is_first": True})
    assert (second.status_code, second.json()["data"]["is_first"]) == (200, False)
    attempt(app, waiting)
    assert jobs.find(waiting).result == {"by": "ada"}
    (seen,) = client("viewer").get(f"/v1/runs/{waiting}/signals").json()["data"]
    assert (seen["name"], seen["payload"], seen["sent_by"]) == ("approval", HIDDEN, "the-operator")
    noted = operator.get(f"/v1/runs/{waiting}/audit-entries").json()["data"]
    assert [(one["verb"], one["reason"], one["done"], one["skipped"]) for one in noted] == [
        ("signal", "phoned", 0, 1), ("signal", "phoned", 1, 0),
    ]  # fmt: skip
    assert operator.post(f"/v1/runs/{waiting}/signals", json=body).json()["error"]["code"] == "signal_refused"


def test_a_callback_url_works_once_without_an_account(
    app: App, anyone: TestClient, waiting: UUID, urls: list[str]
) -> None:
    path = urls[0].removeprefix("https://jobs.example.com")

    broken = anyone.post(path, content=b"{no")
    first = anyone.post(path, json={"paid": 7})
    second = anyone.post(path, json={"paid": 8})

    assert (broken.status_code, first.status_code, second.status_code) == (422, 201, 409)
    assert "was used already" in second.json()["error"]["message"]
    attempt(app, waiting)
    assert (jobs.find(waiting).state, jobs.find(waiting).result) == (RunState.SUCCEEDED, {"paid": 7})
    with app.database.read() as connection:
        stored = str(connection.exec_driver_sql("select * from job_callbacks").all())
    assert path.rpartition("/")[2] not in stored


def test_a_callback_url_expires_and_guessing_one_is_limited(
    anyone: TestClient, waiting: UUID, urls: list[str], clock: StepClock
) -> None:
    path = urls[0].removeprefix("https://jobs.example.com")
    clock.step(2 * DAY)

    assert "has expired" in anyone.post(path).json()["error"]["message"]
    assert jobs.find(waiting).held_on == "signal:approval"
    answers = [anyone.post("/v1/callbacks/guess").status_code for _ in range(22)]
    assert answers == [404] * 20 + [429] * 2


def test_the_page_of_a_waiting_run_offers_the_answer(
    app: App, anyone: TestClient, waiting: UUID, users: dict[str, str]
) -> None:
    anyone.cookies.set(
        "jobledger-session", signing.sign_in(app, users["operator"], PASSWORD, kind="page").secret
    )  # fmt: skip
    anyone.headers.update({"Accept": "text/html", "Sec-Fetch-Site": "same-origin", "Origin": BASE})

    seen = anyone.get(f"/runs/{waiting}").text
    asked = anyone.get(f"/signals/new?run={waiting}&name=approval").text
    sent = anyone.post(
        "/signals", data={"run": str(waiting), "name": "approval", "payload": "yes", "reason": "seen"},
    )  # fmt: skip

    assert "Answer approval…" in seen
    assert "It waits for the signal approval" in seen
    assert "Payload" in asked
    assert (sent.status_code, sent.headers["location"]) == (303, f"/runs/{waiting}")
    attempt(app, waiting)
    assert jobs.find(waiting).result == "yes"
