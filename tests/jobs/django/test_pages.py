"""The ledger's pages in a Django project: for staff whom Django signed in, with the permissions that Django gives."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.ledger.operators import audit_queries
from jobs.operations.access.tokens import create_token
from jobs.operations.access.users import create_user
from jobs.operations.audit.operator import Operator
from jobs.testing import Ledger

OURS = {"sec-fetch-site": "same-origin", "origin": "http://testserver"}
PAUSE = {"what": "queue", "name": "default", "verb": "pause", "reason": "stock", "back": "/queues"}


@pytest.fixture
def project_url(django_sqlite: Path, tmp_path: Path) -> str:
    """On SQLite alone: the pages do not ask which database it is."""
    return f"sqlite:///{shutil.copy(django_sqlite, tmp_path / 'project.db')}"


@pytest.fixture
def client(performing: Ledger) -> Iterator[Any]:
    """A client of the project that checks CSRF tokens as browsers' requests are checked."""
    from django.contrib.auth.models import User
    from django.test import Client, override_settings

    with override_settings(ALLOWED_HOSTS=["testserver"]):
        yield Client(enforce_csrf_checks=True)
    User.objects.all().delete()


def sign_in(client: Any, *permissions: str, name: str = "ada", **user: Any) -> None:
    from django.contrib.auth.models import Permission, User

    made = User.objects.create(username=name, **{"is_staff": True, **user})
    made.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(made)


def test_staff_see_the_pages_and_their_links_stay_in_the_project(client: Any) -> None:
    from tests.django_project.shop import tasks

    run = tasks.noop_task.enqueue().id
    sign_in(client, is_superuser=True)

    overview = client.get("/ops/jobs/")

    text = overview.content.decode()
    assert overview.status_code == 200
    assert "django:ada" in text
    links = re.findall(r'(?:href|src|action|hx-get)="(/[^"]*)"', text)
    assert len(links) > 10
    assert all(one.startswith("/ops/jobs/") for one in links)
    (style,) = {one for one in links if one.endswith(".css") or ".css?" in one}
    assert client.get(style).headers["content-type"].startswith("text/css")
    assert "noop_task" in client.get(f"/ops/jobs/runs/{run}").content.decode()
    assert client.get("/ops/jobs/runs/none").status_code == 404


def test_who_is_not_signed_in_goes_to_djangos_page_and_others_are_refused(client: Any) -> None:
    asked = client.get("/ops/jobs/runs?state=dead")
    assert (asked.status_code, asked.headers["location"]) == (
        302, "/admin/login/?next=/ops/jobs/runs%3Fstate%3Ddead",
    )  # fmt: skip
    part = client.get(
        "/ops/jobs/", headers={"hx-request": "true", "hx-current-url": "http://testserver/ops/jobs/queues"}
    )
    assert part.headers["hx-redirect"] == "/admin/login/?next=/ops/jobs/queues"
    assert client.post("/ops/jobs/pauses", PAUSE, headers=OURS).status_code == 302

    sign_in(client)
    assert client.get("/ops/jobs/").status_code == 403
    sign_in(client, "view_run", name="customer", is_staff=False)
    assert client.get("/ops/jobs/").status_code == 403
    assert client.get("/ops/jobs/", headers={"host": "elsewhere.example"}).status_code == 400


def test_djangos_permissions_say_what_may_be_done(client: Any, performing: Ledger) -> None:
    from tests.django_project.shop import tasks

    run = tasks.noop_task.enqueue("a secret").id
    sign_in(client, "view_run")
    assert "a secret" not in client.get(f"/ops/jobs/runs/{run}").content.decode()
    assert client.post("/ops/jobs/pauses", PAUSE, headers=OURS).status_code == 403
    sign_in(client, "view_run", "view_arguments", "change_queues", name="bob")
    assert "a secret" in client.get(f"/ops/jobs/runs/{run}").content.decode()

    done = client.post("/ops/jobs/pauses", PAUSE, headers=OURS)

    assert (done.status_code, done.headers["location"]) == (303, "/ops/jobs/queues")
    with performing.app.database.read() as connection:
        assert [(one["actor"], one["verb"]) for one in audit_queries.list_actions(connection)] == [
            ("django:bob", "pause")
        ]


def test_a_form_that_another_site_sends_does_nothing(client: Any, performing: Ledger) -> None:
    from tests.django_project.shop import tasks

    tasks.noop_task.enqueue()
    sign_in(client, is_superuser=True)

    for headers in (
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://testserver"},
        {"origin": "null"},
        {},
    ):
        assert client.post("/ops/jobs/pauses", PAUSE, headers=headers).status_code == 403
    encrypted = {**OURS, "origin": "https://testserver"}
    assert client.post("/ops/jobs/pauses", PAUSE, headers=encrypted, secure=True).status_code == 303
    with performing.app.database.read() as connection:
        assert len(audit_queries.list_actions(connection)) == 1


def test_cookies_of_the_pages_reach_the_browser_whole(client: Any) -> None:
    sign_in(client, "view_run")

    chosen = client.post("/ops/jobs/theme", {"theme": "dark", "back": "/queues"}, headers=OURS)

    (cookie,) = (one for name, one in chosen.cookies.items() if name != "sessionid")
    assert (cookie.value, cookie["samesite"], cookie["httponly"], cookie["path"]) == ("dark", "lax", True, "/")
    assert 'data-theme="dark"' in client.get("/ops/jobs/").content.decode()


def test_a_program_with_a_token_uses_the_api_without_djangos_users(client: Any, performing: Ledger) -> None:
    shell = Operator("shell")
    create_user(performing.app, shell, "ann", role="viewer", password="a long enough password")
    _, token = create_token(
        performing.app, shell, user="ann", name="t", permissions=["runs:read"], lasts=timedelta(days=1)
    )

    read = client.get("/ops/jobs/v1/runs", headers={"authorization": f"Bearer {token}"})

    assert (read.status_code, read.json()["data"]) == (200, [])
    assert client.get("/ops/jobs/v1/runs", headers={"authorization": "Bearer jl_none"}).status_code == 401
    assert client.get("/ops/jobs/v1/runs").status_code == 302
    answer = client.post("/ops/jobs/v1/callbacks/unknown", "null", content_type="application/json")
    assert answer.status_code == 404, "a callback needs no user"


def test_the_pages_write_although_djangos_requests_are_transactions(client: Any, project: str) -> None:
    from django.db import connections

    from tests.django_project.shop import tasks

    tasks.noop_task.enqueue()
    sign_in(client, is_superuser=True)
    connections["default"].settings_dict["ATOMIC_REQUESTS"] = True

    assert client.post("/ops/jobs/pauses", PAUSE, headers=OURS).status_code == 303


def test_an_asgi_server_serves_the_same_pages(client: Any, project: str) -> None:
    from asgiref.sync import async_to_sync
    from django.test import AsyncClient

    sign_in(client, is_superuser=True)
    browser = AsyncClient()
    browser.cookies = client.cookies

    answer = async_to_sync(browser.get)("/ops/jobs/queues")

    assert answer.status_code == 200
    assert "django:ada" in answer.content.decode()
