"""Tokens of the API: their permissions, their life, and what ends them."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import jwt
import pytest
from starlette.testclient import TestClient

from jobs.app import App
from jobs.operations.access import users as service
from jobs.operations.access.tokens import create_token, revoke_token
from jobs.operations.audit.operator import Operator
from tests.admin_api.conftest import PASSWORD, MakeClient, StepClock
from tests.admin_api.http.signed_in import SignIn, me
from tests.conftest import MakeApp


def test_a_token_creates_no_token_with_more_permissions_or_a_longer_life(
    app: App, anyone: TestClient, users: dict[str, str], shell: Operator
) -> None:
    """K2.2: an 86 s token once made one of 366 days that outlived it."""
    token, secret = create_token(
        app, shell, user="the-admin", name="short", permissions=["runs:read"], lasts=timedelta(seconds=86)
    )
    headers = {"Authorization": f"Bearer {secret}"}
    body = {"user": "the-admin", "name": "long", "permissions": ["runs:read"], "lasts_days": 366}
    made = anyone.post("/v1/tokens", json={**body, "lasts_days": 0.0005}, headers=headers)
    wide = anyone.post("/v1/tokens", json={**body, "permissions": ["users:write"]}, headers=headers)
    long = anyone.post("/v1/tokens", json=body, headers=headers)

    assert (made.status_code, wide.status_code, long.status_code) == (201, 403, 422)
    assert made.json()["data"]["parent_id"] == str(token.id)
    assert me(anyone, made.json()["data"]["secret"]) == 200
    revoke_token(app, shell, token.id)
    assert me(anyone, made.json()["data"]["secret"]) == 401


@pytest.mark.parametrize("how", ["disabled", "reset"])
def test_disabling_a_user_or_resetting_the_password_ends_sessions_at_once(
    app: App, anyone: TestClient, sign_in: SignIn, shell: Operator, how: str
) -> None:
    session = sign_in("operator")

    if how == "disabled":
        service.disable_user(app, shell, "the-operator")
    else:
        service.reset_password(app, shell, "the-operator", password="another good password")

    assert me(anyone, session["access_token"]) == 401


def test_a_new_role_applies_from_the_next_request_on(
    app: App, anyone: TestClient, sign_in: SignIn, shell: Operator
) -> None:
    session = sign_in("admin")

    service.change_role(app, shell, "the-admin", role="viewer")

    answer = anyone.get("/v1/sessions/current", headers={"Authorization": f"Bearer {session['access_token']}"})
    assert answer.json()["data"]["permissions"] == ["runs:read"]


def forged(token: str, *, how: str) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    if how == "none":
        head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
        return f"{head}.{token.split('.')[1]}."
    if how == "another key":
        return jwt.encode(claims, "x" * 32, algorithm="HS256")
    if how == "no expiry":
        return jwt.encode({k: v for k, v in claims.items() if k != "exp"}, "k" * 32, algorithm="HS256")
    if how == "another issuer":
        return jwt.encode({**claims, "iss": "somebody"}, "k" * 32, algorithm="HS256")
    if how == "a huge expiry":
        return jwt.encode({**claims, "exp": 10**400}, "k" * 32, algorithm="HS256")
    if how == "another algorithm":
        return jwt.encode(claims, "k" * 64, algorithm="HS512")
    return token[:-4] + "AAAA"


@pytest.mark.parametrize(
    "how",
    ["none", "another key", "no expiry", "another issuer", "another algorithm", "a huge expiry", "changed signature"],
)
def test_a_forged_access_token_is_refused(
    sqlite_url: str, make_app: MakeApp, make_client: MakeClient, users: dict[str, str], how: str
) -> None:
    client = make_client(over=make_app(sqlite_url, api_secret="k" * 32))
    good = client.post("/v1/sessions", json={"name": "the-admin", "password": PASSWORD}).json()["data"]["access_token"]
    assert me(client, good) == 200

    assert me(client, forged(good, how=how)) == 401


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic dGhlLWFkbWluOng=", "bearer x", "Bearer jl_", "Token jl_x", "Bearer \x00"]
)
def test_an_invalid_credential_is_refused(anyone: TestClient, header: str) -> None:
    answer = anyone.get("/v1/sessions/current", headers={"Authorization": header})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_two_authorization_headers_are_refused(anyone: TestClient, sign_in: SignIn) -> None:
    good = f"Bearer {sign_in('admin')['access_token']}"

    answer = anyone.get("/v1/sessions/current", headers=[("Authorization", good), ("Authorization", "Bearer x")])

    assert answer.status_code == 401


def test_a_token_has_its_permissions_that_its_user_also_has_until_it_expires(
    app: App, anyone: TestClient, users: dict[str, str], shell: Operator, clock: StepClock
) -> None:
    token, secret = create_token(
        app, shell, user="the-operator", name="deploys", permissions=["runs:read", "runs:replay"],
        lasts=timedelta(days=1),
    )  # fmt: skip
    headers = {"Authorization": f"Bearer {secret}"}
    said = anyone.get("/v1/sessions/current", headers=headers).json()["data"]
    assert said == {"name": "the-operator", "permissions": ["runs:read", "runs:replay"]}

    service.change_role(app, shell, "the-operator", role="viewer")
    said = anyone.get("/v1/sessions/current", headers=headers).json()["data"]
    assert said["permissions"] == ["runs:read"]

    clock.step(timedelta(days=1))
    assert me(anyone, secret) == 401
    clock.step(timedelta(days=-1))
    assert me(anyone, secret) == 200

    revoke_token(app, shell, token.id)
    assert me(anyone, secret) == 401
