"""A filled ledger, and the state of its runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.app import App
from jobs.definition import registry
from jobs.operations.audit.operator import Operator
from tests.admin_api.pages import filled

ROOT = Operator("root@desk")


@pytest.fixture(autouse=True)
def kinds_as_they_were() -> Iterator[None]:
    known = set(registry.kinds())
    yield
    for kind in set(registry.kinds()) - known:
        registry.forget(kind)


@pytest.fixture
def full(app: App, filled_ledger: tuple[Path, filled.Places]) -> filled.Places:
    from tests.admin_api.pages.shop import ChargeCard

    registry.register(ChargeCard, kind="shop.ChargeCard")
    filled.copy_into(app, filled_ledger[0])
    return filled_ledger[1]
