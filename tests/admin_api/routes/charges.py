"""Clients by role, and runs that the API shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from jobs import Job
from jobs.app import App
from jobs.definition import registry
from jobs.ledger.records import Failure
from jobs.operations.access.tokens import create_token
from jobs.operations.audit.operator import ROLES as PERMISSIONS
from jobs.operations.audit.operator import Operator
from jobs.states import Outcome
from tests.admin_api.conftest import MakeClient
from tests.book import Book

As = Callable[[str], TestClient]
DECLINED = Failure("CardDeclined", "card 4242 declined", "Traceback…", "ab12cd34ef")


@pytest.fixture
def as_role(app: App, make_client: MakeClient, users: dict[str, str], shell: Operator) -> As:
    """``as_role("viewer")``: a client with a token of that role."""

    def make(role: str) -> TestClient:
        _, secret = create_token(
            app, shell, user=users[role], name="t", permissions=sorted(PERMISSIONS[role]), lasts=timedelta(days=1)
        )
        return make_client(secret)

    return make


@pytest.fixture
def admin(as_role: As) -> TestClient:
    return as_role("admin")


@pytest.fixture
def book(app: App) -> Book:
    return Book(app.database, now=datetime.now(UTC))


@pytest.fixture(autouse=True)
def charge() -> Iterator[None]:
    class Charge(Job, queue="payments"):
        order_id: int
        card: str = "ok"

        def idempotency_key(self) -> str:
            return f"order:{self.order_id}"

        def perform(self) -> None: ...

    yield
    registry.forget("Charge")


def dead(book: Book, number: int = 1) -> list[UUID]:
    found = []
    for _ in range(number):
        run_id = book.enqueue(kind="Charge", arguments={"order_id": 7}, max_attempts=1)
        (held,) = book.claim(run_id, kinds=("Charge",))
        book.end(held, Outcome.FAILED, failure=DECLINED)
        found.append(run_id)
    return found


def data(answer: Any) -> Any:
    assert answer.status_code < 300, answer.text
    assert set(answer.json()) == {"data", "error", "meta", "pagination"}
    return answer.json()["data"]


def every(client: TestClient, path: str, **params: Any) -> list[Any]:
    """All pages of a list."""
    found, cursor = [], None
    for _ in range(100):
        answer = client.get(path, params={**params, **({"cursor": cursor} if cursor else {})})
        page = data(answer)
        assert len(page) <= answer.json()["pagination"]["limit"]
        found += page
        cursor = answer.json()["pagination"]["next_cursor"]
        if cursor is None:
            return found
    raise AssertionError(f"{path} has no end")
