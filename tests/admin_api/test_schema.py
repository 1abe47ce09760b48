"""The API against its own description: random requests, good and bad, find no 500 and no undeclared answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from admin_api.app import make_api
from jobs import Job
from jobs.app import App
from jobs.definition import registry
from jobs.operations.access.tokens import create_token
from jobs.operations.audit.operator import Operator, Permission
from jobs.states import RunState
from tests.book import Book
from tests.faults.load import selects_full

EXAMPLES = 4
"""Requests a route, good and again bad. Source: decision; ten times as many found nothing that these do not."""
EXAMPLES_IN_FULL = 6
"""The same in `make faults`."""
CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


@pytest.fixture
def letter() -> Iterator[None]:
    class Letter(Job, queue="mail"):
        to: str
        copies: int = 1

        def perform(self) -> None: ...

    yield
    registry.forget("Letter")


@pytest.fixture
def full(app: App, letter: None) -> None:
    """At least one row of every kind, for lists to show."""
    book = Book(app.database, now=datetime.now(UTC))
    for state in RunState:
        for _ in range(3):
            book.bring(state)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
@pytest.mark.faults
@pytest.mark.short
@pytest.mark.timeout(300)
def test_no_answer_is_undeclared(
    app: App, full: None, users: dict[str, str], shell: Operator, mode: GenerationMode, request: pytest.FixtureRequest
) -> None:
    _, secret = create_token(
        app, shell, user=users["admin"], name="s", permissions=sorted(Permission), lasts=timedelta(days=1)
    )
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", make_api(app), headers={"Host": "localhost"})
    headers = {"Authorization": f"Bearer {secret}", "Host": "localhost"}
    checks = CHECKS.get_by_names(CHECKED)
    examples = EXAMPLES_IN_FULL if selects_full(request.config.option.markexpr) else EXAMPLES
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=examples, deadline=None, database=None, derandomize=True,
            phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def hold(case: Any) -> None:
            nonlocal asked
            asked += 1
            response = case.call(headers=headers)
            case.validate_response(response, checks=checks)

        # Some routes have no input that could be invalid.
        with suppress(Unsatisfiable):
            hold()
    assert asked > 100
