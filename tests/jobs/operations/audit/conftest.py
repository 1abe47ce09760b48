"""What the tests of the chain keep for each other."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest


@pytest.fixture(scope="session")
def filled() -> dict[str, tuple[list[UUID], Any]]:
    """Of each dialect: what ``acted`` gives, and the rows of its ledger."""
    return {}
