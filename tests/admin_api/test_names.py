"""Every name that the API accepts can be used in its addresses; others are refused; headers encode names. (K2.7)"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from jobs import Cron, Job
from jobs.app import App
from jobs.definition import registry
from jobs.errors import DefinitionError
from jobs.formats.naming import is_name
from jobs.operations.access.tokens import create_token
from jobs.operations.audit.operator import Operator, Permission
from tests.admin_api.conftest import PASSWORD, MakeClient

NAMES = [
    "nightly", "every half hour", "naïve", "夜間の報告", "отчёт", "🦊", "100%", "a?b#c", "a&b=c", "..a",
    "previews", "current", "new", "'\"<b>", "a;b", "a\\b", "+1", "~", "a:b", "x" * 200,
]  # fmt: skip
REFUSED = ["a/b", "/", "/a", "a/", ".", "..", "", " a", "a ", "a\nb", "a\x00b", "\u202ea\u202c", "x" * 201]


@pytest.fixture(autouse=True)
def mail() -> Iterator[None]:
    class Mail(Job):
        def perform(self) -> None: ...

    yield
    registry.forget("Mail")


@pytest.fixture
def admin(app: App, make_client: MakeClient, users: dict[str, str], shell: Operator) -> TestClient:
    everything = sorted(Permission)
    _, secret = create_token(app, shell, user="the-admin", name="t", permissions=everything, lasts=timedelta(days=1))
    return make_client(secret)


def schedule(name: str) -> dict[str, Any]:
    return {"name": name, "kind": "Mail", "when": {"type": "every", "interval_seconds": 60}}


@pytest.mark.parametrize("name", NAMES)
def test_a_created_schedule_is_found_at_its_location_header(admin: TestClient, name: str) -> None:
    key = {"Idempotency-Key": "once"}
    made, again = (admin.post("/v1/schedules", json=schedule(name), headers=key) for _ in range(2))

    assert (made.status_code, again.status_code) == (201, 201), made.text
    where = made.headers["location"]
    assert where == again.headers["location"] == f"/v1/schedules/{quote(name, safe='')}"
    assert admin.get(where).json()["data"]["name"] == name
    assert admin.patch(where, json={"priority": 1}).status_code == 200
    assert admin.put(f"{where}/pause", json={}).status_code == 204
    assert admin.delete(f"{where}/pause").status_code == 204
    assert admin.post(f"{where}/runs", json={}).status_code == 201
    assert [admin.get(f"{where}/{one}").status_code for one in ("slots", "previews")] == [200, 200]
    assert admin.delete(where).status_code == 204


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_fits_no_address_is_refused_everywhere(admin: TestClient, name: str) -> None:
    token = {"user": "the-admin", "name": name, "permissions": ["runs:read"], "lasts_days": 0.5}
    user = {"name": name, "role": "viewer", "password": PASSWORD}

    assert admin.post("/v1/schedules", json=schedule(name)).status_code == 422
    assert admin.post("/v1/runs", json={"kind": "Mail", "queue": name}).status_code == 422
    with pytest.raises(DefinitionError):
        Cron("@daily", name=name)
    with pytest.raises(DefinitionError):
        type("Other", (Job,), {"perform": lambda self: None}, kind=name or " ")
    if name == name.strip():
        # Blanks around a name are not part of it.
        assert admin.post("/v1/tokens", json=token).status_code == 422
        assert admin.post("/v1/users", json=user).status_code == 422
        path = f"/v1/queues/{quote(name, safe='')}/pause"
        assert admin.put(path, json={"is_new": True}).status_code in (404, 405, 422)


@pytest.mark.parametrize("name", NAMES)
def test_a_queue_or_kind_that_may_be_paused_may_be_resumed(admin: TestClient, name: str) -> None:
    for what in ("queues", "kinds"):
        path = f"/v1/{what}/{quote(name, safe='')}/pause"
        paused = admin.put(path, json={"is_new": True}).status_code

        assert paused in (200, 422)
        assert admin.delete(path).status_code == (204 if paused == 200 else 409)


def test_names_of_every_sort_follow_one_rule() -> None:
    assert [one for one in NAMES if not is_name(one)] == []
    assert [one for one in REFUSED if is_name(one)] == []
