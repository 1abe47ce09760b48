"""Rate limits of changing requests, by token and by user. (K2.5)"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from jobs.app import App
from jobs.operations.access.tokens import create_token
from jobs.operations.access.users import create_user
from jobs.operations.audit.operator import Operator, Permission
from tests.admin_api.conftest import PASSWORD, MakeClient, StepClock
from tests.conftest import MakeApp

PAUSE = "/v1/queues/mail/pause"


class SteppedClock(StepClock):
    """A clock whose monotonic time moves by its steps alone."""

    def monotonic(self) -> float:
        return 1000.0 + self.later.total_seconds()


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


def client_of(app: App, make_client: MakeClient, shell: Operator, user: str = "the-admin") -> TestClient:
    _, secret = create_token(
        app, shell, user=user, name="t", permissions=sorted(Permission), lasts=timedelta(days=1)
    )  # fmt: skip
    return make_client(secret, over=app)


def act(client: TestClient, times: int, **given: Any) -> list[int]:
    """The statuses of this many changing requests for an unknown name."""
    return [client.put(PAUSE, json={}, **given).status_code for _ in range(times)]


@pytest.fixture
def limited(sqlite_url: str, make_app: MakeApp, clock: SteppedClock, users: dict[str, str]) -> App:
    return make_app(sqlite_url, clock=clock, api_token_rate=30, api_user_rate=60)


def test_a_token_above_its_rate_waits_and_may_then_continue(
    limited: App, make_client: MakeClient, shell: Operator, clock: SteppedClock
) -> None:
    client = client_of(limited, make_client, shell)

    assert act(client, 5) == [404] * 5
    refused = client.put(PAUSE, json={})

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_requests")
    wait = int(refused.headers["retry-after"])
    assert 1 <= wait <= 2
    assert client.get("/v1/queues").status_code == 200, "looking is not counted"
    clock.step(timedelta(seconds=wait))
    assert act(client, 2) == [404, 429]


def test_another_token_of_the_user_works_up_to_the_users_limit(
    limited: App, make_client: MakeClient, shell: Operator
) -> None:
    first, second, third = (client_of(limited, make_client, shell) for _ in range(3))
    create_user(limited, shell, "other", password=PASSWORD, role="admin")
    app = first.app
    other = client_of(limited, make_client, shell, "other")
    for one in (second, third, other):
        # Four clients of one process.
        one._transport.app = app  # type: ignore[attr-defined]

    assert act(first, 6) == [404] * 5 + [429]
    assert act(second, 6) == [404] * 5 + [429]
    assert act(third, 1) == [429]
    assert act(other, 1) == [404]


def test_a_request_with_a_key_is_counted_once(limited: App, make_client: MakeClient, shell: Operator) -> None:
    client = client_of(limited, make_client, shell)
    statuses = [
        client.post("/v1/runs", json={"kind": "Nothing"}, headers={"Idempotency-Key": f"key-{n}"}).status_code
        for n in range(6)
    ]

    assert statuses == [404] * 5 + [429]


def test_by_default_two_hundred_changes_in_a_few_seconds_are_too_many(
    app: App, make_client: MakeClient, shell: Operator, users: dict[str, str]
) -> None:
    statuses = act(client_of(app, make_client, shell), 120)

    assert statuses[:50] == [404] * 50
    assert 429 in statuses


def test_a_limit_of_none_limits_nothing(
    sqlite_url: str, make_app: MakeApp, make_client: MakeClient, shell: Operator, users: dict[str, str]
) -> None:
    free = make_app(sqlite_url, api_token_rate=0, api_user_rate=0)

    assert set(act(client_of(free, make_client, shell), 120)) == {404}
