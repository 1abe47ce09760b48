"""Services are tested on each dialect, over the verbs' book at the real time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobs.app import App
from jobs.operations.audit.operator import Operator
from tests.book import Book
from tests.jobs.ledger.conftest import app as app
from tests.jobs.ledger.conftest import shared_app as shared_app


@pytest.fixture
def book(app: App) -> Book:
    return Book(app.database, now=datetime.now(UTC))


@pytest.fixture
def ada() -> Operator:
    return Operator("ada@desk")
