"""Operators who act on record, and what the check of the chain says of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Table, delete, insert, select, text

from jobs import boot
from jobs.app import App
from jobs.database.models import Base
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.audit.verify import Verification, anchor, verify
from jobs.operations.bulk import batches
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.cancel import CancelAction
from tests.book import Book
from tests.conftest import MakeApp

Rows = list[tuple[Table, list[dict[str, Any]]]]


@pytest.fixture
def app(ledger_url: str, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> App:
    """A ledger of the test's own, as the migrations made it: with the first link of its chain."""
    made = make_app(ledger_url)
    monkeypatch.setattr(boot, "_app", made)
    return made


EVERY = Selector(is_all=True, states=("queued",))


def cancel(app: App, ada: Operator, *, kind: str = "Mail") -> UUID:
    act = CancelAction(reason=None)
    return carry_out(app, ada, act, plan(app, ada, act, replace(EVERY, kinds=(kind,)))).action_id


def check(app: App, ada: Operator, **given: str) -> Verification:
    return verify(app, ada, **given)


@pytest.fixture
def acted(
    app: App, ada: Operator, book: Book, monkeypatch: pytest.MonkeyPatch, filled: dict[str, tuple[list[UUID], Rows]]
) -> list[UUID]:
    """Two actions, of seven and three runs, in batches of four; both are in the chain.

    They are carried out once on each dialect; further ledgers get the same rows.
    """
    monkeypatch.setattr(batches, "BATCH", 4)
    book.step(-60)
    if app.database.dialect not in filled:
        filled[app.database.dialect] = act_twice(app, ada, book), rows_of(app)
    else:
        fill(app, filled[app.database.dialect][1])
    return filled[app.database.dialect][0]


def act_twice(app: App, ada: Operator, book: Book) -> list[UUID]:
    made = []
    for count in (7, 3):
        for _ in range(count):
            book.enqueue()
        made.append(cancel(app, ada))
    anchor(app, ada)
    return made


def rows_of(app: App) -> Rows:
    with app.database.read() as connection:
        every = [(table, connection.execute(select(table)).mappings().all()) for table in Base.metadata.sorted_tables]
    return [
        (table, [{name: as_written(value) for name, value in row.items()} for row in rows])
        for table, rows in every
        if rows
    ]


def as_written(value: Any) -> Any:
    """JSON is read as what it stands for, and written as text."""
    return json.dumps(value) if isinstance(value, dict) else value


def fill(app: App, rows: Rows) -> None:
    """Replace the rows of these tables."""
    with app.database.write() as connection:
        for table, _ in reversed(rows):
            connection.execute(delete(table))
        for table, some in rows:
            connection.execute(insert(table), some)


def sql(app: App, statement: str, **values: object) -> None:
    with app.database.write() as connection:
        connection.execute(text(statement), values)


def key(app: App, given: UUID | str) -> str:
    """An id as the dialect stores it."""
    return UUID(str(given)).hex if app.database.dialect == "sqlite" else str(given)
