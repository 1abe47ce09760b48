"""Signing in to the API: limits, tokens for one use, and what ends a session."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta

import jwt
import pytest
from starlette.testclient import TestClient

from jobs.app import App
from jobs.operations.access import users as service
from jobs.operations.access.tokens import create_token, revoke_token
from jobs.operations.audit.operator import Operator
from tests.admin_api.conftest import PASSWORD, MakeClient, StepClock
from tests.conftest import MakeApp

SignIn = Callable[[str], dict[str, str]]
MINUTE = timedelta(minutes=1)


def me(client: TestClient, token: str) -> int:
    return client.get("/v1/sessions/current", headers={"Authorization": f"Bearer {token}"}).status_code


def test_signing_in_returns_the_users_permissions(anyone: TestClient, sign_in: SignIn) -> None:
    session = sign_in("viewer")

    answer = anyone.get("/v1/sessions/current", headers={"Authorization": f"Bearer {session['access_token']}"})

    assert answer.json()["data"] == {"name": "the-viewer", "permissions": ["runs:read"]}


def test_a_wrong_name_and_a_wrong_password_get_the_same_response(anyone: TestClient, users: dict[str, str]) -> None:
    wrong = anyone.post("/v1/sessions", json={"name": "the-admin", "password": "not the password"})
    nobody = anyone.post("/v1/sessions", json={"name": "nobody", "password": PASSWORD})

    assert wrong.status_code == nobody.status_code == 401
    assert wrong.json()["error"] == nobody.json()["error"]


def test_after_five_failed_tries_the_right_password_waits_too(
    anyone: TestClient, users: dict[str, str], clock: StepClock
) -> None:
    tries = [anyone.post("/v1/sessions", json={"name": "the-admin", "password": f"guess {n}"}) for n in range(5)]
    right = anyone.post("/v1/sessions", json={"name": " The-Admin ", "password": PASSWORD})

    assert [one.status_code for one in tries] == [401] * 5
    assert (right.status_code, right.json()["error"]["code"]) == (429, "too_many_tries")
    assert 0 < int(right.headers["retry-after"]) <= 900

    clock.step(timedelta(seconds=int(right.headers["retry-after"])))
    assert anyone.post("/v1/sessions", json={"name": "the-admin", "password": PASSWORD}).status_code == 201


def test_an_address_is_limited_whatever_names_it_tries(anyone: TestClient, users: dict[str, str]) -> None:
    for n in range(5):
        anyone.post("/v1/sessions", json={"name": f"name-{n}", "password": PASSWORD})

    assert anyone.post("/v1/sessions", json={"name": "the-admin", "password": PASSWORD}).status_code == 429


def test_behind_an_unnamed_proxy_failed_sign_ins_of_others_lock_nobody_out(
    sqlite_url: str, make_app: MakeApp, make_client: MakeClient, users: dict[str, str]
) -> None:
    """K2.3: all sign-ins come from the proxy's address."""
    client = make_client(over=make_app(sqlite_url, api_behind_tls=True))
    for n in range(7):
        client.post("/v1/sessions", json={"name": f"name-{n}", "password": PASSWORD})
        client.post("/v1/sessions", json={"name": "the-admin", "password": f"guess {n}"})

    assert client.post("/v1/sessions", json={"name": "the-admin", "password": PASSWORD}).status_code == 201


def test_each_wait_is_longer_than_the_one_before(anyone: TestClient, users: dict[str, str], clock: StepClock) -> None:
    """K2.3"""
    waits = []
    for n in range(9):
        answer = anyone.post("/v1/sessions", json={"name": "the-admin", "password": f"guess {n}"})
        if answer.status_code == 429:
            waits.append(int(answer.headers["retry-after"]))
            clock.step(timedelta(seconds=waits[-1]))

    assert waits == sorted(set(waits))
    assert len(waits) >= 2


def test_an_address_that_a_header_makes_up_is_not_believed(anyone: TestClient, users: dict[str, str]) -> None:
    answers = [
        anyone.post(
            "/v1/sessions",
            json={"name": f"name-{n}", "password": PASSWORD},
            headers={"X-Forwarded-For": f"10.0.0.{n}", "X-Real-IP": f"10.0.0.{n}", "Forwarded": f"for=10.0.0.{n}"},
        )
        for n in range(6)
    ]

    assert answers[-1].status_code == 429


def test_successful_sign_ins_are_not_counted(anyone: TestClient, sign_in: SignIn) -> None:
    for _ in range(7):
        sign_in("admin")


def test_an_access_token_expires_after_a_quarter_of_an_hour_and_is_refreshed(
    anyone: TestClient, sign_in: SignIn, clock: StepClock
) -> None:
    session = sign_in("viewer")
    clock.step(14 * MINUTE)
    assert me(anyone, session["access_token"]) == 200
    clock.step(MINUTE)
    assert me(anyone, session["access_token"]) == 401

    answer = anyone.post("/v1/sessions/refreshes", json={"refresh_token": session["refresh_token"]})

    assert answer.status_code == 201
    assert me(anyone, answer.json()["data"]["access_token"]) == 200


def test_a_refresh_token_used_twice_ends_all_tokens_of_its_session_and_no_other(
    anyone: TestClient, sign_in: SignIn
) -> None:
    stolen, other = sign_in("viewer"), sign_in("viewer")
    first = anyone.post("/v1/sessions/refreshes", json={"refresh_token": stolen["refresh_token"]}).json()["data"]

    again = anyone.post("/v1/sessions/refreshes", json={"refresh_token": stolen["refresh_token"]})

    assert again.status_code == 401
    assert me(anyone, first["access_token"]) == 401
    assert me(anyone, stolen["access_token"]) == 401
    late = anyone.post("/v1/sessions/refreshes", json={"refresh_token": first["refresh_token"]})
    assert late.status_code == 401
    assert me(anyone, other["access_token"]) == 200


def test_signing_out_ends_the_session_and_its_refresh_token(anyone: TestClient, sign_in: SignIn) -> None:
    session = sign_in("viewer")
    headers = {"Authorization": f"Bearer {session['access_token']}"}

    assert anyone.delete("/v1/sessions/current", headers=headers).status_code == 204

    assert me(anyone, session["access_token"]) == 401
    answer = anyone.post("/v1/sessions/refreshes", json={"refresh_token": session["refresh_token"]})
    assert answer.status_code == 401


def test_sessions_are_listed_and_ended(anyone: TestClient, sign_in: SignIn) -> None:
    """K2.2"""
    admin, viewer, other = sign_in("admin"), sign_in("viewer"), sign_in("viewer")

    def listed(session: dict[str, str]) -> list[dict[str, str]]:
        headers = {"Authorization": f"Bearer {session['access_token']}"}
        found: list[dict[str, str]] = anyone.get("/v1/sessions", headers=headers).json()["data"]
        return found

    assert [one["user"] for one in listed(viewer)] == ["the-viewer"] * 2
    assert sorted(one["user"] for one in listed(admin)) == ["the-admin", "the-viewer", "the-viewer"]
    mine = next(one["id"] for one in listed(admin) if one["user"] == "the-admin")
    for session, session_id, status in ((viewer, mine, 404), (viewer, listed(viewer)[0]["id"], 204)):
        headers = {"Authorization": f"Bearer {session['access_token']}"}
        assert anyone.delete(f"/v1/sessions/{session_id}", headers=headers).status_code == status

    assert me(anyone, other["access_token"]) == 401
    assert (me(anyone, viewer["access_token"]), me(anyone, admin["access_token"])) == (200, 200)
    answer = anyone.post("/v1/sessions/refreshes", json={"refresh_token": other["refresh_token"]})
    assert answer.status_code == 401


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


def test_in_read_only_mode_nobody_may_change_anything(
    sqlite_url: str, make_app: MakeApp, make_client: MakeClient, users: dict[str, str]
) -> None:
    client = make_client(over=make_app(sqlite_url, api_read_only=True))
    good = client.post("/v1/sessions", json={"name": "the-admin", "password": PASSWORD}).json()["data"]["access_token"]

    said = client.get("/v1/sessions/current", headers={"Authorization": f"Bearer {good}"}).json()["data"]

    assert said["permissions"] == ["arguments:read", "audit:read", "runs:read"]


def test_in_read_only_mode_a_refused_write_names_the_setting(
    sqlite_url: str, make_app: MakeApp, make_client: MakeClient, users: dict[str, str]
) -> None:  # K2.C
    client = make_client(over=make_app(sqlite_url, api_read_only=True))

    for headers in ({}, {"Authorization": "Bearer nobody"}):
        answer = client.put("/v1/queues/mail/pause", json={}, headers=headers)

        assert answer.status_code == 403
        assert "JOBS_API_READ_ONLY" in answer.json()["error"]["hint"]


def test_a_body_without_a_length_is_read_up_to_the_limit(anyone: TestClient) -> None:
    endless = iter([b"x" * 65536] * 17)

    assert anyone.post("/v1/sessions", content=endless).status_code == 413
