"""Limits on slow, large and many requests, over real sockets. (K2.4, K2.11)"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest
from starlette.testclient import TestClient

from admin_api.http import protocol, sign_in_threads
from jobs.app import App
from jobs.operations.access import credentials
from jobs.operations.access.access_errors import Overloaded
from tests.admin_api.conftest import PASSWORD
from tests.admin_api.http.raw import raw, token_of
from tests.admin_api.http.raw import served as served
from tests.waiting import wait_until

HEALTH = ("GET /healthz HTTP/1.1", "Host: localhost")
HALF = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{"
GET = HALF + b"\r\n"
QUICK = 0.6


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", QUICK)
    monkeypatch.setattr(protocol, "BODY_SECONDS", QUICK)


def all_of(connection: socket.socket) -> bytes:
    """All bytes until the server closes the connection."""
    got = b""
    while part := connection.recv(65536):
        got += part
    return got


@pytest.mark.parametrize(
    ("sent", "answer"),
    [(b"", b"HTTP/1.1 408"), (b"GET", b"HTTP/1.1 408"), (HALF, b"HTTP/1.1 408"), (POST, b"HTTP/1.1 408")],
    ids=["nothing", "a word", "half a head", "half a body"],
)
def test_the_connection_of_an_incomplete_request_is_closed(
    quick: None, served: tuple[str, int], sent: bytes, answer: bytes
) -> None:
    with socket.create_connection(served, timeout=60) as connection:
        connection.sendall(sent)

        assert all_of(connection).startswith(answer)


def test_a_client_that_sends_a_byte_now_and_then_is_disconnected_too(quick: None, served: tuple[str, int]) -> None:
    with socket.create_connection(served, timeout=60) as connection:
        connection.sendall(GET)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.settimeout(QUICK / 8)

        def is_over() -> bool:
            try:
                connection.sendall(b"\r\n")
                return connection.recv(65536).startswith(b"HTTP/1.1 408")
            except TimeoutError:
                return False

        assert wait_until(is_over, seconds=60)


def test_half_open_connections_do_not_block_other_clients(
    served: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 20)
    with ExitStack() as opened:
        connections = []
        for _ in range(60):
            connections.append(opened.enter_context(socket.create_connection(served, timeout=60)))
            connections[-1].sendall(HALF)

        assert raw(served, *HEALTH, "Connection: close")[0] == 200
        assert [all_of(one)[:12] for one in connections[:40]] == [b"HTTP/1.1 503"] * 40
        # The newest connections still get responses.
        connections[-1].sendall(b"Connection: close\r\n\r\n")
        assert all_of(connections[-1]).startswith(b"HTTP/1.1 200")


def test_a_request_that_is_answered_is_not_cut_off_by_new_connections(
    app: App, served: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 4)
    began, go_on = threading.Event(), threading.Event()

    def slow(*args: object, **given: object) -> None:
        began.set()
        go_on.wait(100)
        raise Overloaded("late")

    monkeypatch.setattr("jobs.operations.access.sign_in.sign_in", slow)
    body = b'{"name": "a", "password": "b"}'
    lines = ("POST /v1/sessions HTTP/1.1", "Host: localhost", "Content-Type: application/json",
             f"Content-Length: {len(body)}", "Connection: close")  # fmt: skip
    with ThreadPoolExecutor(1) as pool, ExitStack() as opened:
        asked = pool.submit(raw, served, *lines, body=body)
        assert began.wait(60)
        for _ in range(12):
            opened.enter_context(socket.create_connection(served, timeout=60)).sendall(HALF)
        assert raw(served, *HEALTH, "Connection: close")[0] == 200
        go_on.set()

        assert asked.result(60)[0] == 503


@pytest.mark.parametrize("size", [33_000, 60_000])
def test_a_head_above_the_limit_is_refused_even_in_one_piece(served: tuple[str, int], size: int) -> None:
    """K2.11: docs/security.md says 32 kB."""
    assert raw(served, *HEALTH, "Connection: close", "X: " + "a" * size)[0] == 400
    assert raw(served, *HEALTH, "Connection: close", "X: " + "a" * 31_000)[0] == 200


@pytest.fixture
def slow_hashing(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Hashing that waits until a test releases it."""
    go_on = threading.Event()
    real = credentials._hasher

    class Slow:
        def verify(self, *given: str) -> bool:
            go_on.wait(100)
            return real().verify(*given)

        def hash(self, password: str) -> str:
            return real().hash(password)

    monkeypatch.setattr(credentials, "_hasher", Slow)
    yield go_on
    go_on.set()


def sign_in(client: TestClient, n: int) -> int:
    status = client.post("/v1/sessions", json={"name": f"name-{n}", "password": PASSWORD}).status_code
    return int(status)


def test_many_concurrent_sign_ins_get_503_and_block_no_other_request(
    app: App, anyone: TestClient, users: dict[str, str], shell: object, slow_hashing: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    secret = token_of(app, shell, users["admin"])  # type: ignore[arg-type]
    room = sign_in_threads.AT_ONCE + sign_in_threads.WAITING
    with ThreadPoolExecutor(150) as pool:
        asked = [pool.submit(sign_in, anyone, n) for n in range(150)]
        assert wait_until(lambda: sum(one.done() for one in asked) == 150 - room, seconds=60)

        assert {one.result() for one in asked if one.done()} == {503}
        headers = {"Authorization": f"Bearer {secret}"}
        assert anyone.get("/v1/sessions/current", headers=headers).status_code == 200
        refused = anyone.post("/v1/sessions", json={"name": "x", "password": PASSWORD})
        assert (refused.json()["error"]["code"], refused.headers["retry-after"]) == ("overloaded", "2")
        slow_hashing.set()
        assert {one.result(60) for one in asked} <= {401, 429, 503}

    assert anyone.post("/v1/sessions", json={"name": users["admin"], "password": PASSWORD}).status_code in (201, 429)


def test_concurrent_password_hashing_is_limited_everywhere(slow_hashing: threading.Event) -> None:
    most = credentials.AT_ONCE + credentials.WAITING
    hashed = credentials.hash_password(PASSWORD)
    with ThreadPoolExecutor(most) as pool:
        asked = [pool.submit(credentials.is_password, PASSWORD, hashed) for _ in range(most)]
        assert wait_until(lambda: credentials._hashers._taken == most, seconds=60)

        with pytest.raises(Overloaded):
            credentials.hash_password(PASSWORD)
        slow_hashing.set()
        assert all(one.result(60) for one in asked)


def test_many_connections_are_accepted_and_closed(served: tuple[str, int]) -> None:
    for _ in range(30):
        with closing(socket.create_connection(served, timeout=60)) as connection:
            connection.sendall(GET * 3)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
