"""The cache middleware queries the visitor once per page, never for other paths, and sends cached pages unchanged."""

from __future__ import annotations

import logging

import pytest
from starlette.testclient import TestClient

from jobs.app import App
from jobs.errors import ServiceDown
from jobs.operations.access import sign_in
from tests.admin_api.pages.conftest import Browse
from tests.admin_cli import world


@pytest.fixture
def client(in_world: None, browse: Browse) -> TestClient:
    return browse()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that grows with each query for the visitor."""
    secrets: list[str] = []
    real = sign_in.by_cookie

    def by_cookie(app: App, secret: str) -> sign_in.Identity:
        secrets.append(secret)
        return real(app, secret)

    monkeypatch.setattr(sign_in, "by_cookie", by_cookie)
    return secrets


def test_the_visitor_is_queried_once_per_page(client: TestClient, asked: list[str]) -> None:
    for path, status in (("/runs", 200), ("/runs", 200), ("/users", 200), ("/nowhere", 404), ("/runs/none", 404)):
        asked.clear()
        assert client.get(path, headers={"Accept": "text/html"}).status_code == status
        assert len(asked) == 1, path


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/v1/runs", "/v1", "/static/nothing.js"])
def test_paths_that_are_no_pages_query_no_visitor(client: TestClient, asked: list[str], path: str) -> None:
    client.get(path)

    assert not asked


def test_a_browser_without_a_cookie_costs_the_ledger_nothing(client: TestClient, asked: list[str]) -> None:
    client.cookies.clear()

    assert client.get("/runs").headers["location"] == "/sign-in?next=%2Fruns"
    assert not asked


def test_a_cached_page_is_sent_and_logged_like_a_rendered_one(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="jobs.api"):
        made, kept = client.get(f"/runs/{world.DEAD}"), client.get(f"/runs/{world.DEAD}")

    assert kept.text == made.text
    differ = {name for name in made.headers.keys() | kept.headers.keys() if made.headers[name] != kept.headers[name]}
    assert differ == {"x-request-id"}
    first, second = (one for one in caplog.records if one.message == "Answered")
    for name in ("route", "status", "operator", "method"):
        assert getattr(first, name) == getattr(second, name)
    assert getattr(second, "route") == "/runs/{text}"  # noqa: B009


def test_only_a_get_gets_a_cached_page(client: TestClient) -> None:
    assert client.get("/runs").status_code == 200

    assert client.post("/runs").status_code == 405
    assert client.head("/runs").status_code == 405


def test_an_unreachable_ledger_is_reported_though_the_page_is_cached(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/runs").status_code == 200

    def gone(app: App, secret: str) -> sign_in.Identity:
        raise ServiceDown("The ledger does not answer.")

    monkeypatch.setattr(sign_in, "by_cookie", gone)

    assert client.get("/runs", headers={"Accept": "text/html"}).status_code == 503
