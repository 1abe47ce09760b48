"""On PostgreSQL a plain task is inserted by the ledger's function, and by a statement where there is none yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jobs.django import ledger
from jobs.errors import SchemaMismatch
from jobs.ledger.admission.insert_dated import FUNCTION, TYPES, forget_function

pytestmark = pytest.mark.parametrize("project_url", ["postgresql"], indirect=True)


@pytest.fixture
def charge(project: str) -> Iterator[Any]:
    from tests.django_project.shop.tasks import charge

    yield charge
    forget_function(ledger.current().database)


def drop_function() -> None:
    from django.db import connection

    connection.cursor().execute(f"drop function {FUNCTION}({TYPES})")


def test_a_ledger_that_is_not_migrated_yet_takes_tasks(charge: Any) -> None:
    from django.db import transaction

    with transaction.atomic():
        drop_function()
        result = charge.enqueue(7)
        result.refresh()
        assert result.status.name == "READY"
        transaction.set_rollback(True)


def test_a_ledger_that_is_migrated_down_meanwhile_says_so_once(charge: Any) -> None:
    from django.db import transaction

    charge.enqueue(7)
    with transaction.atomic():
        drop_function()
        with pytest.raises(SchemaMismatch, match="migrated down"):
            charge.enqueue(8)
        transaction.set_rollback(True)

    with transaction.atomic():
        drop_function()
        charge.enqueue(9)
        transaction.set_rollback(True)
