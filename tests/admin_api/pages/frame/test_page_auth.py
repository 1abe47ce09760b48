"""Who gets in, and from where a form may come."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from fastapi.routing import APIRoute

from admin_api.pages.frame.page_auth import local_path
from admin_api.pages.site import PAGES
from jobs.app import App
from jobs.operations.access import sign_in as signing
from jobs.operations.access.users import disable_user
from jobs.operations.audit.operator import Operator
from tests.admin_api.conftest import BASE, PASSWORD, MakeClient, StepClock
from tests.admin_api.pages.conftest import OURS, Browse
from tests.conftest import MakeApp

OPEN = {"/sign-in", "/link", "/theme"}
"""What takes a form from whoever is not signed in."""


def routes(method: str) -> list[str]:
    """The addresses of pages that take ``method``, their parameters filled in."""
    found = [one for part in PAGES for one in part.router.routes if isinstance(one, APIRoute)]
    return sorted(re.sub(r"\{\w+\}", "0" * 32, one.path) for one in found if method in one.methods)


def test_a_visitor_who_is_not_signed_in_signs_in_and_returns_to_the_page(browse: Browse) -> None:
    answer = browse(None).get("/runs?state=dead")

    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fruns%3Fstate%3Ddead")


def test_every_page_but_the_sign_in_pages_requires_a_session(browse: Browse) -> None:
    pages = [one for one in routes("GET") if one not in OPEN]
    assert len(pages) > 8

    for path in pages:
        answer = browse(None).get(path)
        assert (answer.status_code, answer.headers.get("location", "")[:8]) == (303, "/sign-in"), path


def test_a_refresh_after_signing_out_leads_to_the_sign_in_page(browse: Browse) -> None:
    answer = browse(None).get("/runs", headers={"HX-Request": "true"})

    assert answer.headers["hx-redirect"] == "/sign-in?next=%2Fruns"


def test_signing_in_sets_a_cookie_without_script_access_and_redirects_back(browse: Browse) -> None:
    client = browse(None)

    answer = client.post("/sign-in", data={"name": "the-viewer", "password": PASSWORD, "next": "/runs?state=dead"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/runs?state=dead")
    cookie = answer.headers["set-cookie"].lower()
    assert {"httponly", "path=/", "samesite=lax"} <= {part.strip() for part in cookie.split(";")}
    assert client.get("/runs").status_code == 200


def test_behind_tls_the_cookie_is_for_this_host_only(
    sqlite_url: str, make_app: MakeApp, browse: Browse, users: dict[str, str]
) -> None:
    client = browse(None, over=make_app(sqlite_url, api_behind_tls=True))

    answer = client.post("/sign-in", data={"name": "the-viewer", "password": PASSWORD})

    assert answer.headers["set-cookie"].startswith("__Host-jobledger=")
    assert "secure" in answer.headers["set-cookie"].lower()
    client.cookies = {}  # type: ignore[assignment]
    plain = client.get("/runs", headers={"Cookie": "jobledger-session=" + answer.cookies["__Host-jobledger"]})
    assert plain.status_code == 303, "a cookie that any host of the site may set is not taken"


def test_a_wrong_password_says_so_and_five_of_them_wait(browse: Browse) -> None:
    client = browse(None)
    tries = [client.post("/sign-in", data={"name": "the-admin", "password": f"guess {n}"}) for n in range(6)]

    assert [one.status_code for one in tries] == [401] * 5 + [429]
    assert "The name or the password is wrong." in tries[0].text
    assert 0 < int(tries[-1].headers["retry-after"]) <= 900


def test_a_link_signs_in_once_and_opening_it_does_not_use_it(app: App, browse: Browse) -> None:
    secret = signing.make_link(app, Operator("root@desk"))
    client, other = browse(None), browse(None)

    assert client.get(f"/link?key={secret}").status_code == 200
    assert client.post("/link", data={"key": secret}).headers["location"] == "/"
    assert client.get("/users").status_code in (200, 404)
    again = other.post("/link", data={"key": secret})

    assert again.status_code == 401
    assert "jobledger-session" not in other.cookies


def test_a_link_expires_after_ten_minutes(app: App, browse: Browse, clock: StepClock) -> None:
    secret = signing.make_link(app, Operator("root@desk"))
    clock.step(timedelta(minutes=10))

    assert browse(None).post("/link", data={"key": secret}).status_code == 401


def test_signing_out_ends_the_session_itself(browse: Browse) -> None:
    client = browse("viewer")
    secret = client.cookies["jobledger-session"]

    client.post("/sign-out")

    client.cookies.set("jobledger-session", secret)
    assert client.get("/runs").status_code == 303


def test_disabling_a_user_ends_page_sessions_at_once(app: App, browse: Browse) -> None:
    client = browse("viewer")
    assert client.get("/runs").status_code == 200

    disable_user(app, Operator("root@desk"), "the-viewer")

    assert client.get("/runs").status_code == 303


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": "https://other.localhost"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},  # K2.18
    {"Origin": "https://evil.example"},
    {"Origin": "https://localhost.evil.example"},
    {"Origin": "https://localhost:8443"},
    {"Origin": "null"},
    {"Referer": f"{BASE}/runs"},
    {},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_no_form_of_another_site_is_accepted(make_client: MakeClient, browse: Browse, headers: dict[str, str]) -> None:
    signed_in = browse("admin")
    client = make_client()
    client.headers.update({"Accept": "text/html", **headers})
    client.cookies = signed_in.cookies
    paths = routes("POST")
    assert len(paths) > 5

    for path in paths:
        answer = client.post(path, data={"name": "x", "theme": "dark", "verb": "replay"})
        assert (answer.status_code, "did not come from a page of this site" in answer.text) == (403, True), path


@pytest.mark.parametrize(
    "headers",
    [OURS, {"Sec-Fetch-Site": "same-origin", "Origin": "null"}, {"Origin": BASE}, {"Sec-Fetch-Site": "same-origin"}],
)
def test_a_form_of_our_pages_is_accepted(
    make_client: MakeClient, users: dict[str, str], headers: dict[str, str]
) -> None:
    client = make_client()
    client.headers.update({"Accept": "text/html", **headers})

    assert client.post("/theme", data={"theme": "dark", "back": "/runs"}).headers["location"] == "/runs"


def test_the_api_takes_no_cookie(browse: Browse) -> None:
    assert browse("admin").get("/v1/sessions/current").status_code == 401


@pytest.mark.parametrize(
    "given",
    ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", "/\n/evil", "evil", "", None,
     "javascript:alert(1)", "/ü", "/a b"],
)  # fmt: skip
def test_no_redirect_leads_to_another_site(given: str | None) -> None:
    assert local_path(given) == "/"


def test_a_redirect_to_our_own_path_is_followed() -> None:
    assert local_path("/runs?state=dead&where=kind:%22a%22") == "/runs?state=dead&where=kind:%22a%22"
