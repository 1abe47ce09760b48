"""Hostile paths, headers, bodies and origins: each is refused in the envelope, and none causes a 500."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from jobs import boot
from jobs.app import App
from jobs.operations.access import sign_in as signing
from jobs.operations.access.users import create_user
from jobs.operations.audit.operator import Operator
from tests.admin_api.conftest import BASE, PASSWORD, MakeClient
from tests.admin_api.http.raw import admin as admin
from tests.admin_api.http.raw import raw, token_of
from tests.admin_api.http.raw import served as served
from tests.conftest import MakeApp


@pytest.fixture
def on_postgres(
    pg_database: str, make_app: MakeApp, make_client: MakeClient, shell: Operator, monkeypatch: pytest.MonkeyPatch
) -> TestClient:
    """An admin's client over PostgreSQL, which refuses values that SQLite accepts."""
    app = make_app(pg_database)
    monkeypatch.setattr(boot, "_app", app)
    create_user(app, shell, "ada", password=PASSWORD, role="admin")
    return make_client(token_of(app, shell, "ada"), over=app)


NUL = "a%00b"
TEXTS = [
    NUL,
    "%ff%fe",
    "..%2f..%2fetc",
    "%2e%2e",
    "a%0d%0aSet-Cookie:x=1",
    "%F0%9F%92%A9",
    "x" * 4000,
    "%25s%25n",
    "'--",
]
PLACES = (
    "runs/{}", "queues/{}", "kinds/{}", "schedules/{}", "workers/{}", "users/{}", "audit-entries/{}", "replays/{}",
    "runs?where=kind:{}", "runs?key={}", "runs?tag={}", "runs?arg=a={}", "runs?cursor={}", "users?cursor={}",
    "tokens?user={}",
)  # fmt: skip


def test_no_text_in_an_address_causes_a_500(on_postgres: TestClient) -> None:
    for path in PLACES:
        for text in TEXTS:
            answer = on_postgres.get("/v1/" + path.format(text))

            assert answer.status_code in (200, 400, 404, 409, 422), (path, text, answer.text)
            assert "set-cookie" not in answer.headers
            assert "Traceback" not in answer.text
            assert "sqlalchemy" not in answer.text


@pytest.mark.parametrize("path", ["/v1/runs/", "//v1/runs", "/v1//runs", "/V1/runs", "/v1/./runs", "/v1/runs;a=1"])
def test_an_address_has_one_spelling(served: tuple[str, int], path: str) -> None:
    # Unchanged: clients normalise addresses.
    status, body = raw(served, f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close")

    assert status == 404
    assert set(json.loads(body)) == {"data", "error", "meta", "pagination"}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "HEAD", "PROPFIND"])
def test_a_method_that_an_address_does_not_support_is_405(admin: TestClient, method: str) -> None:
    answer = admin.request(method, "/v1/statistics", headers={"X-HTTP-Method-Override": "GET"})

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"null", "application/json", 422),
        (b'{"kind": 1e999}', "application/json", 422),
        (b'{"kind": "A", "kind": "B", "arguments": []}', "application/json", 422),
        (b'{"kind": "\\ud800"}', "application/json", 422),
        (b'{"\\ud800": 1}', "application/json", 422),
        (b'{"kind": "A"}', "text/plain", 422),
        (b"kind=A", "application/x-www-form-urlencoded", 422),
        (b'{"kind": ' + b"9" * 5000 + b"}", "application/json", 422),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(admin: TestClient, body: bytes, kind: str, status: int) -> None:
    answer = admin.post("/v1/runs", content=body, headers={"Content-Type": kind})

    assert answer.status_code in (status, 400), answer.text
    assert answer.json()["error"]["code"] in ("bad_request", "bad_value", "not_found")


def test_a_body_too_large_is_refused_before_it_is_read(admin: TestClient) -> None:
    said = admin.post(
        "/v1/runs", content=b"x", headers={"Content-Length": str(10**9), "Content-Type": "application/json"}
    )
    sent = admin.post("/v1/runs", content=b'{"kind": "' + b"x" * 2_000_000 + b'"}')

    assert [one.status_code for one in (said, sent)] == [413, 413]
    assert sent.json()["error"]["code"] == "too_large"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://localhost.evil.example"},
        {"Origin": "https://localhost:8443"},
        {"Origin": "http://localhost"},  # K2.18
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    ],
)
def test_requests_from_pages_of_other_sites_are_refused(admin: TestClient, headers: dict[str, str]) -> None:
    answer = admin.post("/v1/schedules/previews", json={"type": "every", "interval_seconds": 60}, headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("headers", [{}, {"Origin": BASE, "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}])
def test_requests_from_programs_and_our_own_pages_are_accepted(admin: TestClient, headers: dict[str, str]) -> None:
    answer = admin.post("/v1/schedules/previews", json={"type": "every", "interval_seconds": 60}, headers=headers)

    assert answer.status_code == 200


def test_a_cookie_never_signs_a_request_to_the_api(app: App, anyone: TestClient, users: dict[str, str]) -> None:
    cookie = signing.sign_in(app, users["admin"], PASSWORD, kind="page").secret

    answer = anyone.get("/v1/runs", headers={"Cookie": f"jobledger-session={cookie}", "Sec-Fetch-Site": "same-origin"})

    assert answer.status_code == 401


def test_guessing_is_limited_while_redis_is_away(
    pg_database: str, make_app: MakeApp, make_client: MakeClient, shell: Operator
) -> None:
    app = make_app(pg_database, redis_url="redis://127.0.0.1:1/0")
    create_user(app, shell, "ada", password=PASSWORD, role="admin")
    client = make_client(over=app)

    tries = [client.post("/v1/sessions", json={"name": "ada", "password": f"guess {n}"}).status_code for n in range(7)]

    assert tries == [401] * 5 + [429] * 2


def test_concurrent_guesses_are_each_counted(app: App, anyone: TestClient, users: dict[str, str]) -> None:
    statuses: list[int] = []

    def guess(number: int) -> None:
        answer = anyone.post("/v1/sessions", json={"name": users["admin"], "password": f"guess {number}"})
        statuses.append(answer.status_code)

    guessing = [threading.Thread(target=guess, args=(n,)) for n in range(12)]
    for one in guessing:
        one.start()
    for one in guessing:
        one.join(60)

    assert sorted(statuses) == [401] * 5 + [429] * 7


def test_a_refresh_token_used_twice_at_once_succeeds_at_most_once(
    anyone: TestClient, sign_in: Callable[[str], dict[str, str]]
) -> None:
    given = sign_in("admin")["refresh_token"]
    statuses: list[int] = []

    def use() -> None:
        statuses.append(anyone.post("/v1/sessions/refreshes", json={"refresh_token": given}).status_code)

    using = [threading.Thread(target=use) for _ in range(6)]
    for one in using:
        one.start()
    for one in using:
        one.join(60)

    assert statuses.count(201) <= 1
    assert set(statuses) <= {201, 401}
