"""Bytes that no HTTP library would send: each connection gets a refusal or its end, and holds nothing up."""

from __future__ import annotations

import http.client
import json
import socket

import pytest

from jobs.app import App
from jobs.operations.audit.operator import Operator
from tests.admin_api.http.raw import admin as admin
from tests.admin_api.http.raw import raw, token_of
from tests.admin_api.http.raw import served as served


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
