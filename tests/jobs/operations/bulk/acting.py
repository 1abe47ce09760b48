"""Short forms of a bulk action, for the tests of this folder."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.ledger.operators import audit_queries
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.batches import Act, Report
from jobs.operations.bulk.replay import ReplayAction
from jobs.states import RunState
from tests.book import Book

EVERYTHING = Selector(is_all=True)


def act_on(app: App, ada: Operator, act: Act, selector: Selector, **how: Any) -> Report:
    return carry_out(app, ada, act, plan(app, ada, act, selector), **how)


def replay(app: App, ada: Operator, **given: Any) -> ReplayAction:
    return ReplayAction(app=app, operator=ada, **given)


def dead_runs(book: Book, count: int) -> list[UUID]:
    return [book.bring(RunState.DEAD)[0] for _ in range(count)]


def action_of(app: App, report: Report) -> dict[str, Any]:
    with app.database.read() as connection:
        return audit_queries.find_action(connection, str(report.action_id))
