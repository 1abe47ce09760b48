"""The API over a ledger of the test's own; a client that talks to it as a browser or a program does."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from starlette.testclient import TestClient

from admin_api.app import make_api
from jobs import boot
from jobs.app import App
from tests.conftest import MakeApp

BASE = "https://localhost"
MakeClient = Callable[..., TestClient]


@pytest.fixture
def app(sqlite_url: str, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> App:
    """What the API serves: SQLite, for what is tested here is the API and not the SQL."""
    made = make_app(sqlite_url)
    monkeypatch.setattr(boot, "_app", made)
    return made


@pytest.fixture
def make_client(app: App) -> Iterator[MakeClient]:
    """``make_client(token)`` or ``make_client()``: a client; errors of the server are answers."""
    opened: list[TestClient] = []

    def make(token: str | None = None, *, over: App | None = None) -> TestClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        client = TestClient(
            make_api(over or app), base_url=BASE, headers=headers, raise_server_exceptions=False, follow_redirects=False
        )
        opened.append(client)
        return client

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def anyone(make_client: MakeClient) -> TestClient:
    """A client without credentials."""
    return make_client()
