"""Signing in to the API: limits, tokens for one use, and what ends a session."""

from __future__ import annotations

from datetime import timedelta

from starlette.testclient import TestClient

from tests.admin_api.conftest import PASSWORD, MakeClient, StepClock
from tests.admin_api.http.signed_in import SignIn, me
from tests.conftest import MakeApp

MINUTE = timedelta(minutes=1)


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
