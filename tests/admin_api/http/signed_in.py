"""What the API says of whoever asks."""

from __future__ import annotations

from collections.abc import Callable

from starlette.testclient import TestClient

SignIn = Callable[[str], dict[str, str]]


def me(client: TestClient, token: str) -> int:
    return client.get("/v1/sessions/current", headers={"Authorization": f"Bearer {token}"}).status_code
