"""A user's own password and sessions, over the API and on the page. (K2.2, K2.11)"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from starlette.testclient import TestClient

from jobs.app import App
from jobs.operations.access import sign_in as signing
from jobs.operations.access.tokens import create_token
from jobs.operations.audit import actions
from jobs.operations.audit.operator import Operator
from tests.admin_api.conftest import BASE, PASSWORD, MakeClient

NEW = "fox orbit lantern 93"
PLACE = "/v1/sessions/current/password"
SignIn = Callable[[str], dict[str, str]]


def bearer(session: dict[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {session['access_token']}"}


def test_a_user_changes_the_own_password_and_other_sessions_end(
    app: App, anyone: TestClient, sign_in: SignIn, shell: Operator
) -> None:
    mine, other = sign_in("viewer"), sign_in("viewer")

    changed = anyone.put(PLACE, json={"password": PASSWORD, "new_password": NEW}, headers=bearer(mine))

    assert changed.status_code == 204, changed.text
    statuses = [anyone.get("/v1/sessions/current", headers=bearer(one)).status_code for one in (mine, other)]
    assert statuses == [200, 401]
    tried = [
        anyone.post("/v1/sessions", json={"name": "the-viewer", "password": one}).status_code for one in (PASSWORD, NEW)
    ]
    assert tried == [401, 201]
    (said,) = [one for one in actions.list_actions(app, shell) if one["verb"] == "password"]
    assert (said["actor"], said["target"]) == ("the-viewer", "user the-viewer")


def test_the_old_password_is_required_and_guesses_are_limited(anyone: TestClient, sign_in: SignIn) -> None:
    mine = sign_in("viewer")
    body = {"password": "a wrong password", "new_password": NEW}

    statuses = [anyone.put(PLACE, json=body, headers=bearer(mine)).status_code for _ in range(6)]

    assert statuses == [422] * 5 + [429]


def test_an_easy_password_and_a_token_change_nothing(
    app: App, anyone: TestClient, sign_in: SignIn, shell: Operator
) -> None:
    mine = sign_in("admin")
    _, secret = create_token(
        app, shell, user="the-admin", name="t", permissions=["users:write"], lasts=timedelta(days=1)
    )  # fmt: skip
    easy = anyone.put(PLACE, json={"password": PASSWORD, "new_password": "Password1234"}, headers=bearer(mine))
    headers = {"Authorization": f"Bearer {secret}"}
    by_token = anyone.put(PLACE, json={"password": PASSWORD, "new_password": NEW}, headers=headers)

    assert (easy.status_code, by_token.status_code) == (422, 409)
    assert anyone.post("/v1/sessions", json={"name": "the-admin", "password": PASSWORD}).status_code == 201


def page_of(app: App, make_client: MakeClient, secret: str) -> TestClient:
    client = make_client()
    client.headers.update({"Accept": "text/html", "Sec-Fetch-Site": "same-origin", "Origin": BASE})
    client.cookies.set("jobledger-session", secret)
    return client


def test_the_page_changes_the_password_and_ends_another_session(
    app: App, make_client: MakeClient, users: dict[str, str]
) -> None:
    mine, other = (signing.sign_in(app, "the-viewer", PASSWORD, kind="page", address="192.0.2.7") for _ in range(2))
    admins = signing.sign_in(app, "the-admin", PASSWORD, kind="page")
    client = page_of(app, make_client, mine.secret)

    text = client.get("/account").text
    assert text.count("192.0.2.7") == 2
    assert (text.count("/account/sessions/"), "this one" in text) == (1, True)
    assert client.post(f"/account/sessions/{admins.identity.session_id}").status_code == 404
    assert client.post(f"/account/sessions/{other.identity.session_id}").status_code == 303
    assert page_of(app, make_client, other.secret).get("/account").status_code == 303

    wrong = client.post("/account/password", data={"old": PASSWORD, "new": NEW, "again": "something else here"})
    assert (wrong.status_code, "differ" in wrong.text) == (422, True)
    done = client.post("/account/password", data={"old": PASSWORD, "new": NEW, "again": NEW})
    assert (done.status_code, done.headers["location"]) == (303, "/account?done=password")
    assert "Your password is changed." in client.get("/account?done=password").text


def test_an_admin_sees_a_users_sessions_and_ends_one(app: App, make_client: MakeClient, users: dict[str, str]) -> None:
    theirs = signing.sign_in(app, "the-viewer", PASSWORD, kind="page", address="192.0.2.7")
    admins = page_of(app, make_client, signing.sign_in(app, "the-admin", PASSWORD, kind="page").secret)

    assert "192.0.2.7" in admins.get("/users/the-viewer").text
    assert admins.post(f"/users/the-viewer/sessions/{theirs.identity.session_id}").status_code == 303

    assert page_of(app, make_client, theirs.secret).get("/account").status_code == 303


def test_a_session_from_a_link_has_no_password_to_change(app: App, make_client: MakeClient, shell: Operator) -> None:
    secret = signing.sign_in_by_link(app, signing.make_link(app, shell)).secret
    client = page_of(app, make_client, secret)

    assert "have no password" in client.get("/account").text
    assert client.post("/account/password", data={"old": "x", "new": NEW, "again": NEW}).status_code == 409
