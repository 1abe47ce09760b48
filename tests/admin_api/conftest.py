"""Fixtures: the API over a new ledger, and clients that send requests as a browser or a program does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta

import pytest
from starlette.testclient import TestClient

from admin_api.app import make_api
from jobs import boot
from jobs.app import App
from jobs.clock import SystemClock
from jobs.operations.access.tokens import create_token
from jobs.operations.access.users import create_user
from jobs.operations.audit.operator import ROLES as PERMISSIONS
from jobs.operations.audit.operator import Operator
from tests.conftest import MakeApp

BASE = "https://localhost"
MakeClient = Callable[..., TestClient]


@pytest.fixture
def app(sqlite_url: str, make_app: MakeApp, clock: StepClock, monkeypatch: pytest.MonkeyPatch) -> App:
    """The App that the API serves. On SQLite, because these tests test the API and not the SQL."""
    made = make_app(sqlite_url, clock=clock)
    monkeypatch.setattr(boot, "_app", made)
    return made


@pytest.fixture
def make_client(app: App) -> Iterator[MakeClient]:
    """``make_client(token)`` or ``make_client()``: a client; errors of the server become responses."""
    opened = ExitStack()

    def make(token: str | None = None, *, over: App | None = None) -> TestClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        client = TestClient(
            make_api(over or app), base_url=BASE, headers=headers, raise_server_exceptions=False, follow_redirects=False
        )
        # As a context manager it uses one event loop for all requests, and stops background tasks at the end.
        return opened.enter_context(client)

    yield make
    opened.close()


@pytest.fixture
def anyone(make_client: MakeClient) -> TestClient:
    """A client without credentials."""
    return make_client()


PASSWORD = "a long enough password"
ROLES = ("viewer", "operator", "admin")


class StepClock(SystemClock):
    """The real time plus the span that a test adds."""

    def __init__(self) -> None:
        super().__init__()
        self.later = timedelta()

    def now(self) -> datetime:
        return super().now() + self.later

    def step(self, span: timedelta) -> None:
        self.later += span


@pytest.fixture
def clock() -> StepClock:
    return StepClock()


@pytest.fixture
def shell() -> Operator:
    """The operator at the command line."""
    return Operator("root@desk")


@pytest.fixture
def users(app: App, shell: Operator) -> dict[str, str]:
    """A user of each role: role -> name."""
    for role in ROLES:
        create_user(app, shell, f"the-{role}", password=PASSWORD, role=role)
    return {role: f"the-{role}" for role in ROLES}


@pytest.fixture
def operator_client(app: App, make_client: MakeClient, users: dict[str, str], shell: Operator) -> TestClient:
    """A client with a token that may do what the role ``operator`` may."""
    _, secret = create_token(
        app, shell, user=users["operator"], name="t", permissions=sorted(PERMISSIONS["operator"]),
        lasts=timedelta(days=1),
    )  # fmt: skip
    return make_client(secret)


@pytest.fixture
def sign_in(anyone: TestClient, users: dict[str, str]) -> Callable[[str], dict[str, str]]:
    """``sign_in("viewer")``: the response when the user of that role signs in."""

    def signed(role: str) -> dict[str, str]:
        answer = anyone.post("/v1/sessions", json={"name": users[role], "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        data: dict[str, str] = answer.json()["data"]
        return data

    return signed
