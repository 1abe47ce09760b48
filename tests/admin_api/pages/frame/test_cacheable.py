"""Cached pages are shared only by visitors with the same permissions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from jobs.app import App
from jobs.ledger.queries import pagination
from jobs.operations.access import sign_in as signing
from jobs.operations.access.users import create_user
from jobs.operations.audit.operator import Operator
from tests.admin_api.conftest import PASSWORD
from tests.admin_api.pages.conftest import Browse
from tests.admin_cli import world

PART = {"HX-Request": "true"}
PAGES = ("/", "/runs", "/runs?state=dead", f"/runs/{world.DEAD}", "/dead", "/errors?since=7d", "/queues", "/limits",
         "/limits/Charge", "/breakers/Charge", "/workers", "/schedules", "/kinds", "/audit", "/health")  # fmt: skip
As = Callable[[str], None]


@pytest.fixture
def client(app: App, in_world: None, browse: Browse, shell: Operator) -> TestClient:
    """A browser over a ledger with at least one row of every kind."""
    create_user(app, shell, "grace", password=PASSWORD, role="admin")
    return browse()


@pytest.fixture
def become(app: App, client: TestClient) -> As:
    """Sign in another user at the same server."""

    def as_user(name: str) -> None:
        opened = signing.sign_in(app, name, PASSWORD, kind="page")
        client.cookies.set("jobledger-session", opened.secret)

    return as_user


@pytest.fixture
def lists(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A list that grows with each query for a list of runs."""
    from jobs.operations.runs import inspect

    asked: list[object] = []

    def newest(*given: object, **more: object) -> object:
        asked.append(more)
        return pagination.newest(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(inspect, "newest", newest)
    return asked


def test_a_refreshed_page_is_rendered_once_for_equal_permissions(
    client: TestClient, become: As, lists: list[object]
) -> None:
    first = client.get("/runs", headers=PART)
    become("grace")
    second = client.get("/runs", headers=PART)

    assert len(lists) == 1
    assert (second.status_code, second.text) == (200, first.text)
    assert second.headers["vary"] == first.headers["vary"]
    client.get("/runs?state=dead", headers=PART)
    assert len(lists) == 2, "another address is another page"


def test_a_visitor_with_fewer_permissions_never_gets_the_cached_page_of_another(client: TestClient, become: As) -> None:
    assert "declined" in client.get(f"/runs/{world.DEAD}", headers=PART).text
    become("the-viewer")

    seen = client.get(f"/runs/{world.DEAD}", headers=PART)

    assert seen.status_code == 200
    assert "declined" not in seen.text
    assert client.get("/audit", headers=PART).status_code == 403


def test_a_page_with_the_name_of_its_reader_is_not_shared(client: TestClient, become: As) -> None:
    assert "the-admin" in client.get("/runs").text
    become("grace")
    text = client.get("/runs").text
    assert "grace" in text
    assert "the-admin" not in text

    client.post("/theme", data={"theme": "dark", "back": "/runs"})

    assert 'data-theme="dark"' in client.get("/runs").text


@pytest.mark.parametrize("path", PAGES)
def test_the_shared_part_of_a_page_does_not_name_its_reader(app: App, client: TestClient, path: str) -> None:
    link = signing.make_link(app, Operator("only-me@desk"))
    client.cookies.set("jobledger-session", signing.sign_in_by_link(app, link).secret)
    # That they signed in is on record, and shown to whoever reads the audit.
    with app.database.write() as connection:
        connection.exec_driver_sql("delete from operator_actions where actor = 'only-me@desk'")

    answer = client.get(path, headers=PART)

    assert answer.status_code == 200
    assert "only-me" not in answer.text
    assert "only-me" in client.get(path).text


def test_a_visitor_who_signed_out_gets_no_cached_page(client: TestClient) -> None:
    assert client.get("/runs", headers=PART).status_code == 200
    client.cookies.set("jobledger-session", "no longer")

    assert "data-key" not in client.get("/runs", headers=PART).text


def test_a_change_in_this_process_is_visible_at_once(client: TestClient) -> None:
    assert "Resume mail" not in client.get("/queues").text

    client.post("/pauses", data={"what": "queue", "name": "mail", "verb": "pause", "reason": "a test"})

    assert "Resume mail" in client.get("/queues").text
