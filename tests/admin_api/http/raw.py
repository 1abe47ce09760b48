"""Sign-in for the tests of this folder, and a server that takes raw bytes."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import uvicorn
from starlette.testclient import TestClient

from admin_api.main import listen, make_server, url_of
from jobs.app import App
from jobs.operations.access.tokens import create_token
from jobs.operations.audit.operator import Operator, Permission
from tests.admin_api.conftest import MakeClient
from tests.waiting import wait_until


def token_of(app: App, shell: Operator, user: str) -> str:
    return create_token(
        app, shell, user=user, name="t", permissions=sorted(Permission), lasts=timedelta(days=1)
    )[1]  # fmt: skip


@pytest.fixture
def admin(app: App, make_client: MakeClient, users: dict[str, str], shell: Operator) -> TestClient:
    return make_client(token_of(app, shell, users["admin"]))


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
