"""Hostile paths, headers, bodies and origins: each is refused in the envelope, and none causes a 500."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient

from admin_api.main import listen, make_server, url_of
from jobs import boot
from jobs.app import App
from jobs.operations.access import sign_in as signing
from jobs.operations.access.tokens import create_token
from jobs.operations.access.users import create_user
from jobs.operations.audit.operator import Operator, Permission
from tests.admin_api.conftest import BASE, PASSWORD, MakeClient
from tests.conftest import MakeApp
from tests.waiting import wait_until


def token_of(app: App, shell: Operator, user: str) -> str:
    return create_token(
        app, shell, user=user, name="t", permissions=sorted(Permission), lasts=timedelta(days=1)
    )[1]  # fmt: skip


@pytest.fixture
def admin(app: App, make_client: MakeClient, users: dict[str, str], shell: Operator) -> TestClient:
    return make_client(token_of(app, shell, users["admin"]))


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


@pytest.fixture
def served(app: App) -> Iterator[tuple[str, int]]:
    """A real server on a real socket: host and port."""
    listener = listen("127.0.0.1", 0)
    server: uvicorn.Server = make_server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    assert wait_until(lambda: server.started, seconds=60)
    host, _, port = url_of(listener).removeprefix("http://").partition(":")
    yield host, int(port)
    server.should_exit = True
    thread.join(60)
    listener.close()


def raw(place: tuple[str, int], *lines: str, body: bytes = b"") -> tuple[int, bytes]:
    """The server's response to exactly these lines."""
    with socket.create_connection(place, timeout=60) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read()


@pytest.mark.parametrize(
    ("lines", "statuses"),
    [
        (["GET /healthz HTTP/1.1", "Host: evil.example"], {421}),
        (["GET /healthz HTTP/1.1", "Host: localhost", "Host: evil.example"], {400, 421}),
        (["GET /healthz HTTP/1.1", "Host: evil.example", "Host: localhost"], {400, 421}),
        (["GET /healthz HTTP/1.1", "Host: localhost", "Host: localhost"], {400, 421}),
        (["GET /\xe4\xf6 HTTP/1.1", "Host: localhost"], {400, 404}),
        (["GET //[::1 HTTP/1.1", "Host: localhost"], {400, 404}),
        (["GET /healthz HTTP/1.1", "Host: localhost", "X: a\x00b"], {400}),
        (["GET /healthz HTTP/1.1", "Host: localhost", " folded: x"], {400, 421}),
        (["GET /healthz HTTP/9.9", "Host: localhost"], {400, 505}),
        (["BREW /healthz HTTP/1.1", "Host: localhost"], {400, 405}),
        (["GET /healthz HTTP/1.1"], {400, 421}),
        (["GET http://evil.example/healthz HTTP/1.1", "Host: evil.example"], {400, 404, 421}),
        (["POST /v1/runs HTTP/1.1", "Host: localhost", "Content-Length: 9", "Transfer-Encoding: chunked"], {400, 401}),
        (["POST /v1/runs HTTP/1.1", "Host: localhost", "Content-Length: -5"], {400}),
        (["POST /v1/runs HTTP/1.1", "Host: localhost", "Content-Length: 5", "Content-Length: 6"], {400}),
        (["GET /v1/runs HTTP/1.1", "Host: localhost", "Authorization: Bearer \xff\xfe"], {401}),
        (["GET /v1/runs HTTP/1.1", "Host: localhost", "Authorization : Bearer x"], {400}),
    ],
)
def test_a_request_that_is_no_http_is_refused(served: tuple[str, int], lines: list[str], statuses: set[int]) -> None:
    status, body = raw(served, *lines, "Connection: close", body=b"0\r\n\r\n")

    assert status in statuses, body
    assert b"Traceback" not in body


CHUNKED = ("POST /v1/runs HTTP/1.1", "Host: localhost", "Transfer-Encoding: chunked")


@pytest.mark.parametrize(
    ("lines", "body", "statuses"),
    [
        (["GET /healthz HTTP/1.1", "Host: localhost", "X: " + "a" * 400_000], b"", {400, 431}),
        (["GET /healthz HTTP/1.1", "Host: localhost", *(f"X-{n}: a" for n in range(40_000))], b"", {400, 431}),
        (["GET /" + "a" * 400_000 + " HTTP/1.1", "Host: localhost"], b"", {400, 431}),
        # The head is complete, and credentials are checked before the body is read.
        ([*CHUNKED], b"1\r\na\r\n0\r\nX: " + b"a" * 400_000, {400, 401, 431}),
        ([*CHUNKED], b"1;" + b"a" * 400_000, {400, 401, 431}),
    ],
    ids=["value", "count", "path", "trailer", "chunk"],
)
def test_a_head_without_end_is_cut_off(
    served: tuple[str, int], lines: list[str], body: bytes, statuses: set[int]
) -> None:
    try:
        status, _ = raw(served, *lines, body=body)
    except ConnectionError:
        # The server closed the connection while we were sending.
        status = 400

    assert status in statuses
    assert raw(served, "GET /healthz HTTP/1.1", "Host: localhost", "Connection: close")[0] == 200


def test_the_connection_of_an_endless_trailer_is_ended(served: tuple[str, int]) -> None:
    with socket.create_connection(served, timeout=60) as connection:
        connection.sendall("\r\n".join([*CHUNKED, "", ""]).encode() + b"1\r\na\r\n0\r\n")
        trailer = b"X: " + b"a" * 1000 + b"\r\n"
        with pytest.raises(ConnectionError):
            connection.sendall(trailer * 100_000)


def test_a_body_in_the_smallest_chunks_and_many_requests_of_a_connection_are_taken(
    served: tuple[str, int], app: App, users: dict[str, str], shell: Operator
) -> None:
    kinds = json.dumps({"kind": "Nobody", "arguments": {"text": "x" * 20_000}}).encode()
    secret = token_of(app, shell, users["admin"])
    heads = [*CHUNKED, "Content-Type: application/json", f"Authorization: Bearer {secret}"]
    status, said = raw(served, *heads, body=b"".join(b"1\r\n%c\r\n" % one for one in kinds) + b"0\r\n\r\n")

    assert (status, json.loads(said)["error"]["code"]) == (404, "not_found"), said
    connection = http.client.HTTPConnection(*served, timeout=60)
    for _ in range(40):
        connection.request("GET", "/healthz", headers={"Host": "localhost", "X-Long": "a" * 4000})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    connection.close()


def test_the_request_id_of_a_response_is_in_the_log(anyone: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="jobs.api"):
        anyone.get("/v1/runs", headers={"X-Request-ID": "order-7.check"})

    assert [one.request_id for one in caplog.records if one.msg == "Answered"] == ["order-7.check"]


def test_a_bug_is_an_envelope_with_the_request_id_and_the_log_has_the_rest(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from jobs.operations.insight import queues

    def bug(*args: Any) -> None:
        raise KeyError("secret of ours")

    monkeypatch.setattr(queues, "look_at", bug)
    answer = admin.get("/v1/queues/mail", headers={"X-Request-ID": "order-7.check"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "bug")
    assert answer.json()["meta"]["request_id"] == "order-7.check"
    assert "secret of ours" not in answer.text
    assert any(one.exc_info for one in caplog.records)


def test_a_ledger_that_becomes_unreachable_is_a_503_without_its_address(
    make_app: MakeApp, make_client: MakeClient
) -> None:
    app = make_app("postgresql://ada:hunter2@127.0.0.1:1/ledger")
    client = make_client("jl_x", over=app)

    for answer in (client.get("/readyz"), client.get("/v1/runs")):
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_down")
        assert answer.headers["retry-after"] == "2"
        assert "hunter2" not in answer.text
        assert "127.0.0.1" not in answer.text
    assert client.get("/healthz").status_code == 200


def test_a_failed_commit_is_never_reported_as_done(
    admin: TestClient, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.errors import LedgerBusy
    from jobs.operations.control import pause

    class Breaking:
        """A transaction whose commit fails."""

        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __enter__(self) -> Any:
            return self._inner.__enter__()

        def __exit__(self, *error: Any) -> None:
            self._inner.__exit__(LedgerBusy, LedgerBusy("commit"), None)
            raise LedgerBusy("commit")

    write = app.database.write
    monkeypatch.setattr(type(app.database), "write", lambda self, **how: Breaking(write(**how)))
    with monkeypatch.context() as patch:
        patch.setattr(pause, "check_known", lambda *args, **given: None)
        answer = admin.put("/v1/queues/mail/pause", json={"is_new": True})

    assert answer.status_code == 503, json.dumps(answer.json())
