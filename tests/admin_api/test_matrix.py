"""Every route, with every role and every invalid credential: who may do what.

The routes are those of the API's description, so that none can be left out: a route without a line in ``NEEDS`` fails.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from jobs.app import App
from jobs.operations.access import users as service
from jobs.operations.access.tokens import create_token, revoke_token
from jobs.operations.audit.operator import ROLES as PERMISSIONS
from jobs.operations.audit.operator import Operator, Permission
from tests.admin_api.conftest import ROLES, MakeClient, StepClock
from tests.admin_api.route_table import OPEN, Asked, routes_of
from tests.conftest import MakeApp

P = Permission
ANYBODY = frozenset(Permission)
"""Whoever is signed in, with whatever."""
SCHEDULES = {("POST", ""), ("PATCH", "/{name}"), ("DELETE", "/{name}"), ("POST", "/{name}/runs"),
             ("PUT", "/{name}/pause"), ("DELETE", "/{name}/pause"), ("POST", "/{name}/backfills")}  # fmt: skip
ACTIONS = {
    "replays": P.RUNS_REPLAY,
    "cancellations": P.RUNS_CANCEL,
    "purges": P.RUNS_PURGE,
    "restorations": P.RUNS_PURGE,
}

FOLLOWED = {
    place: frozenset({needed, P.AUDIT_READ, *([P.RUNS_ERASE] if place == "purges" else [])})
    for place, needed in ACTIONS.items()
}
"""Who may do it may follow it; so may who reads the audit."""

NEEDS: dict[tuple[str, str], Permission | frozenset[Permission]] = {
    # A permission, or any of several.
    ("GET", "/metrics"): P.RUNS_READ,
    ("GET", "/v1/sessions/current"): ANYBODY,
    ("DELETE", "/v1/sessions/current"): ANYBODY,
    ("PUT", "/v1/sessions/current/password"): ANYBODY,
    ("GET", "/v1/sessions"): ANYBODY,
    ("DELETE", "/v1/sessions/{id}"): ANYBODY,
    ("GET", "/v1/runs"): P.RUNS_READ,
    ("POST", "/v1/runs"): P.RUNS_ENQUEUE,
    ("POST", "/v1/runs/{id}/signals"): P.RUNS_SIGNAL,
    ("POST", "/v1/runs/bulk"): P.RUNS_ENQUEUE,
    ("POST", "/v1/runs/{id}/openings"): P.SEALED_READ,
    ("GET", "/v1/runs/{id}"): P.RUNS_READ,
    **{
        ("GET", f"/v1/runs/{{id}}/{part}"): P.RUNS_READ
        for part in ("attempts", "logs", "steps", "signals", "children", "replays", "followups", "lineage",
                     "explanation")
    },
    **{("GET", f"/v1/batches{part}"): P.RUNS_READ for part in ("", "/{id}", "/{id}/batches")},
    ("GET", "/v1/runs/{id}/audit-entries"): P.AUDIT_READ,
    ("GET", "/v1/effects"): P.RUNS_READ,
    ("POST", "/v1/runs/{id}/resolutions"): P.RUNS_REPLAY,
    **{("POST", f"/v1/{place}"): needed for place, needed in ACTIONS.items()},
    **{("GET", f"/v1/{place}"): FOLLOWED[place] for place in ACTIONS},
    **{("GET", f"/v1/{place}/{{id}}"): FOLLOWED[place] for place in ACTIONS},
    **{("DELETE", f"/v1/{place}/{{id}}"): needed for place, needed in ACTIONS.items()},
    **{
        ("GET", f"/v1/{place}"): P.RUNS_READ
        for place in (
            "dead-letters", "dead-letter-groups", "errors", "queues", "queues/{name}", "limits",
            "limits/{name}", "breakers", "breakers/{name}", "kinds", "kinds/{name}",
            "workers", "workers/{name}", "schedules", "schedules/{name}", "schedules/{name}/slots",
            "schedules/{name}/previews",
            "statistics",
        )
    },
    ("DELETE", "/v1/purges/{id}"): frozenset({P.RUNS_PURGE, P.RUNS_ERASE}),
    ("POST", "/v1/schedules/previews"): P.RUNS_READ,
    **{(method, f"/v1/{what}/{{name}}/pause"): P.QUEUES_WRITE
       for method in ("PUT", "DELETE") for what in ("queues", "kinds")},
    ("GET", "/v1/alert-routes"): P.RUNS_READ,
    ("GET", "/v1/scale"): P.RUNS_READ,
    ("GET", "/v1/queues/{name}/forecast"): P.RUNS_READ,
    ("POST", "/v1/alert-routes"): P.QUEUES_WRITE,
    ("DELETE", "/v1/alert-routes/{name}"): P.QUEUES_WRITE,
    ("POST", "/v1/alert-routes/{name}/tests"): P.QUEUES_WRITE,
    **{(method, "/v1/limits/{name}"): P.QUEUES_WRITE for method in ("PUT", "DELETE")},
    **{(method, f"/v1/{what}/{{name}}/target"): P.QUEUES_WRITE
       for method in ("PUT", "DELETE") for what in ("queues", "kinds")},
    ("GET", "/v1/targets"): P.RUNS_READ,
    **{(method, f"/v1/queues/{{name}}/{what}"): P.QUEUES_WRITE
       for method in ("PUT", "DELETE") for what in ("retention", "waiting-limit")},
    ("POST", "/v1/breakers/{name}/release"): P.QUEUES_WRITE,
    ("POST", "/v1/workers/stops"): P.WORKERS_WRITE,
    **{(method, f"/v1/schedules{rest}"): P.SCHEDULES_WRITE for method, rest in SCHEDULES},
    **{("GET", f"/v1/{what}"): P.RUNS_READ for what in ("history", "stored-values")},
    ("GET", "/v1/audit-entries"): P.AUDIT_READ,
    ("GET", "/v1/audit-entries/{id}"): P.AUDIT_READ,
    ("GET", "/v1/audit-entries/{id}/runs"): P.AUDIT_READ,
    ("POST", "/v1/audit-entries/{id}/undos"): P.AUDIT_READ,
    **{("GET", f"/v1/users{rest}"): P.USERS_WRITE for rest in ("", "/{name}")},
    ("POST", "/v1/users"): P.USERS_WRITE,
    **{("PUT", f"/v1/users/{{name}}/{what}"): P.USERS_WRITE for what in ("role", "password", "disabled")},
    ("GET", "/v1/tokens"): ANYBODY,
    ("POST", "/v1/tokens"): P.USERS_WRITE,
    ("DELETE", "/v1/tokens/{id}"): ANYBODY,
}  # fmt: skip


def ask(client: TestClient, asked: Asked, secret: str | None, **headers: str) -> int:
    given = {**headers, **({"Authorization": f"Bearer {secret}"} if secret is not None else {})}
    return client.request(asked.method, asked.path, json=asked.body, headers=given).status_code


@pytest.fixture
def closed(app: App) -> list[Asked]:
    """Every route that requires authentication."""
    return [one for one in routes_of(app) if (one.method, one.template) not in OPEN]


def test_every_route_says_what_it_needs(closed: list[Asked]) -> None:
    assert {(one.method, one.template) for one in closed} == set(NEEDS)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_use_its_routes_and_no_others(
    app: App, anyone: TestClient, users: dict[str, str], shell: Operator, closed: list[Asked], role: str
) -> None:
    for one in closed:
        # Each with its own session, because one of the routes ends it.
        _, secret = create_token(
            app, shell, user=users[role], name="t", permissions=sorted(PERMISSIONS[role]), lasts=timedelta(days=1)
        )
        needed = NEEDS[one.method, one.template]
        may = needed in PERMISSIONS[role] if isinstance(needed, Permission) else bool(needed & PERMISSIONS[role])

        status = ask(anyone, one, secret)

        assert (status != 403) if may else (status == 403), (one, role, status)
        assert status not in (401, 500), (one, role, status)


@pytest.mark.parametrize("needed", list(Permission))
def test_a_token_without_one_permission_is_refused_by_routes_that_need_it(
    app: App, anyone: TestClient, users: dict[str, str], shell: Operator, closed: list[Asked], needed: Permission
) -> None:
    rest = sorted(set(Permission) - {needed})
    _, secret = create_token(app, shell, user=users["admin"], name="t", permissions=rest, lasts=timedelta(days=1))

    out = {(one.method, one.template) for one in closed if ask(anyone, one, secret) == 403}

    assert out == {one for one, permission in NEEDS.items() if permission is needed}


@pytest.fixture
def refused(
    app: App, users: dict[str, str], shell: Operator, sign_in: Callable[[str], dict[str, str]], clock: StepClock
) -> dict[str, str | None]:
    """Invalid credentials, by the reason."""
    secrets: dict[str, str | None] = {"none": None, "wrong": "jl_wrong", "wrong JWT": "e30.e30.x"}
    token, secrets["revoked"] = create_token(
        app, shell, user=users["admin"], name="r", permissions=sorted(Permission), lasts=timedelta(days=9)
    )
    revoke_token(app, shell, token.id)
    secrets["expired JWT"] = sign_in("admin")["access_token"]
    _, secrets["expired"] = create_token(
        app, shell, user=users["admin"], name="e", permissions=sorted(Permission), lasts=timedelta(hours=1)
    )
    clock.step(timedelta(hours=1))
    secrets["signed out"] = sign_in("operator")["access_token"]
    service.reset_password(app, shell, users["operator"], password="another good password")
    _, secrets["disabled"] = create_token(
        app, shell, user=users["viewer"], name="d", permissions=["runs:read"], lasts=timedelta(days=9)
    )
    service.disable_user(app, shell, users["viewer"])
    return secrets


def test_no_route_accepts_missing_or_invalid_credentials(
    anyone: TestClient, closed: list[Asked], refused: dict[str, str | None]
) -> None:
    let_in = [
        (why, one.method, one.template, status)
        for why, secret in refused.items()
        for one in closed
        if (status := ask(anyone, one, secret)) != 401
    ]

    assert let_in == []


def test_the_cookie_of_the_pages_is_no_credential_of_the_api(
    app: App, anyone: TestClient, users: dict[str, str], closed: list[Asked]
) -> None:
    from jobs.operations.access.sign_in import sign_in
    from tests.admin_api.conftest import PASSWORD

    cookie = sign_in(app, users["admin"], PASSWORD, kind="page").secret
    given = "; ".join(f"{name}={cookie}" for name in ("__Host-jobledger", "jobledger-session"))

    assert {ask(anyone, one, None, Cookie=given) for one in closed} == {401}


def test_a_read_only_api_changes_nothing_for_any_role(
    sqlite_url: str, make_app: MakeApp, make_client: MakeClient, shell: Operator, closed: list[Asked],
    app: App, users: dict[str, str],
) -> None:  # fmt: skip
    client = make_client(over=make_app(sqlite_url, api_read_only=True))
    _, secret = create_token(
        app, shell, user=users["admin"], name="t", permissions=sorted(Permission), lasts=timedelta(days=1)
    )
    writes = [one for one in closed if one.method != "GET" and not one.template.startswith("/v1/sessions")]
    reads = [one for one in closed if one.method == "GET" and NEEDS[one.method, one.template] is P.RUNS_READ]

    assert {ask(client, one, secret) for one in writes} == {403}
    assert not {ask(client, one, secret) for one in reads} & {401, 403, 500}
