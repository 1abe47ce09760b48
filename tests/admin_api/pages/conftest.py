"""Fixtures: pages over a new ledger, requested as a browser does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from jobs import boot
from jobs.app import App
from jobs.operations.access import sign_in as signing
from jobs.settings import Settings
from tests.admin_api.conftest import BASE, PASSWORD, MakeClient
from tests.admin_api.pages import filled
from tests.admin_cli import world

Browse = Callable[..., TestClient]
OURS = {"Sec-Fetch-Site": "same-origin", "Origin": BASE}


@pytest.fixture(scope="module")
def world_file(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger that is filled as ``world.py`` says. To fill one takes a hundred transactions."""
    path = Path(shutil.copy(sqlite_template, tmp_path_factory.mktemp("world") / "jobs.db"))
    with closing(boot.build(Settings.read(database_url=f"sqlite:///{path}"))) as app:
        world.build(app)
    return path


@pytest.fixture
def in_world(app: App, world_file: Path) -> None:
    """The ledger of ``app`` is filled as ``world.py`` says. Users are made after that."""
    filled.copy_into(app, world_file)


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
