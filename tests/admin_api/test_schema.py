"""The API against its own description: random requests, good and bad, find no 500 and no answer that is not declared."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS
from starlette.testclient import TestClient

from admin_api.app import make_routes
from jobs import Job, registry
from jobs.app import App
from jobs.operations import sign_in
from jobs.operations.operator import Operator, Permission
from jobs.operations.tokens import create_token
from jobs.states import RunState
from tests.admin_api.conftest import BASE, MakeClient
from tests.book import Book

EXAMPLES = 12
"""Requests a route, half of them bad. Source: decision; some forty seconds, on which longer runs found nothing more."""
PLACES = sorted({(method.upper(), path) for path, methods in {}.items() for method in methods})
CHECKED = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    )
]


@pytest.fixture
def letter() -> Iterator[None]:
    class Letter(Job, queue="mail"):
        to: str
        copies: int = 1

        def perform(self) -> None: ...

    yield
    registry.forget("Letter")
