"""Fixtures: pages over a new ledger, requested as a browser does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from jobs.app import App
from jobs.operations.access import sign_in as signing
from tests.admin_api.conftest import BASE, PASSWORD, MakeClient

Browse = Callable[..., TestClient]
OURS = {"Sec-Fetch-Site": "same-origin", "Origin": BASE}


@pytest.fixture
def browse(app: App, make_client: MakeClient, users: dict[str, str]) -> Browse:
    """``browse("operator")``: a client with that role's cookie and a browser's headers."""

    def browser(role: str | None = "admin", *, over: App | None = None) -> TestClient:
        client = make_client(over=over)
        client.headers.update({"Accept": "text/html", **OURS})
        if role is not None:
            opened = signing.sign_in(app, users[role], PASSWORD, kind="page")
            client.cookies.set("jobledger-session", opened.secret)
        return client

    return browser
