"""Moments at the ends of the calendar are refused as 422 or taken, never a 500, and lists go on. K.15"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from jobs import Job
from jobs.app import App
from jobs.operations.access.tokens import create_token
from jobs.operations.audit.operator import ROLES as PERMISSIONS
from jobs.operations.audit.operator import Operator
from tests.admin_api.conftest import MakeClient

DAILY = {"type": "every", "interval_seconds": 86400.0}
EXTREME = (
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00-14:00",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59.999999-14:00",
    "9999-12-31T23:59:59+14:00",
    "10000-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "infinity",
    "-infinity",
)


class DatedNote(Job):
    def perform(self) -> None: ...


@pytest.fixture(params=["sqlite", "postgresql"])
def app(request: pytest.FixtureRequest, make_app: Any, monkeypatch: pytest.MonkeyPatch) -> App:
    from jobs import boot

    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "pg_database")
    made: App = make_app(url)
    monkeypatch.setattr(boot, "_app", made)
    return made


@pytest.fixture
def admin(app: App, make_client: MakeClient, users: dict[str, str], shell: Operator) -> TestClient:
    _, secret = create_token(
        app, shell, user=users["admin"], name="t", permissions=sorted(PERMISSIONS["admin"]), lasts=timedelta(days=1)
    )
    client = make_client(secret)
    whens = {"c": {"type": "cron", "expression": "0 0 1 1 *", "timezone": "Asia/Tokyo"}, "e": DAILY}
    for name, when in whens.items():
        made = client.post("/v1/schedules", json={"name": name, "kind": "DatedNote", "when": when})
        assert made.status_code == 201, made.text
    return client


def asked(client: TestClient, moment: str) -> list[tuple[str, int]]:
    """Request everything that takes a moment with this one: gives what, and the status."""
    known = "2026-11-01T00:00:00Z"
    found = []

    def ask(method: str, path: str, **terms: Any) -> None:
        answer = client.request(method, path, **terms)
        found.append((f"{method} {path} {terms}", answer.status_code))

    ask("POST", "/v1/runs", json={"kind": "DatedNote", "arguments": {}, "at": moment})
    ask("GET", "/v1/runs", params={"since": moment})
    ask("GET", "/v1/runs", params={"until": moment})
    for name in ("c", "e"):
        ask("POST", f"/v1/schedules/{name}/runs", json={"scheduled_for": moment})
        for since, until in ((moment, known), (known, moment), (moment, moment)):
            ask("GET", f"/v1/schedules/{name}/previews", params={"since": since, "until": until})
            body = {"since": since, "until": until, "dry_run": True}
            ask("POST", f"/v1/schedules/{name}/backfills", json=body)
        ask("GET", f"/v1/schedules/{name}/previews", params={"since": moment})
        ask("GET", f"/v1/schedules/{name}/previews", params={"until": moment})
    for when in (
        {"type": "at", "moment": moment},
        {**DAILY, "anchor": moment},
        {**DAILY, "start": moment},
        {**DAILY, "end": moment, "catch_up": "all"},
        {"type": "cron", "expression": "0 0 * * *", "timezone": "Asia/Tokyo", "start": moment},
        {"type": "cron", "expression": "0 0 * * *", "timezone": "America/New_York", "end": moment},
    ):
        ask("POST", "/v1/schedules/previews", json=when)
        ask("POST", "/v1/schedules", json={"name": f"s{len(found)}", "kind": "DatedNote", "when": when})
    for path in ("runs", "schedules", "audit-entries", "queues", "schedules/c", "schedules/e/slots"):
        answer = client.get(f"/v1/{path}")
        found.append((f"list {path}", answer.status_code if answer.status_code == 200 else 500))
    return found


@pytest.mark.parametrize("moment", EXTREME)
def test_a_moment_at_the_end_of_the_calendar_is_accepted_or_refused(admin: TestClient, moment: str) -> None:
    wrong = [(what, status) for what, status in asked(admin, moment) if status >= 500]

    assert not wrong
