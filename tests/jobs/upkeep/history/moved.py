"""Runs that end and move to history, and the statements that show where each of them is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from jobs.app import App
from jobs.ledger.effects import attempt_logs
from jobs.ledger.queries import error_groups, find, lineage, pagination, reports, series
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.control.history import enable_history
from jobs.states import Outcome, RunState
from tests.book import BOOM, Book

ROOT = Operator("root")
HOT = "select id from job_runs"
COLD = "select id from job_history"


def enable(app: App, **given: Any) -> None:
    """As an operator does, a minute ago."""
    enable_history(app, ROOT, **given)
    execute(app, "update job_history_settings set moves_after = now()")


def execute(app: App, statement: str) -> list[Any]:
    with app.database.write() as connection:
        found = connection.execute(text(statement))
        return list(found.scalars()) if found.returns_rows else []


def everything(app: App, ids: list[UUID]) -> dict[str, Any]:
    """What lists, pages and commands show of these runs."""
    with app.database.read() as connection:
        shown = {str(one): pagination.newest(connection, one, limit=50) for one in SELECTORS}
        return {
            **shown,
            "counts": {str(one): pagination.tally(connection, one) for one in SELECTORS},
            "up to": {str(one): pagination.count_up_to(connection, one, most=3) for one in SELECTORS},
            "runs": [find.find_run(connection, one) for one in ids],
            "by tail": [find.resolve_id(connection, str(one)[-12:]) for one in ids],
            "all": find.list_runs(connection),
            "logs": [attempt_logs.find_log(connection, one) for one in ids],
            "attempts": [find.list_attempts(connection, one) for one in ids],
            "dead": reports.dead_groups(connection),
            "errors": error_groups.error_groups(connection, since=datetime.now(UTC) - timedelta(days=1)),
            "queues": reports.queue_counts(connection, now=START + timedelta(hours=2)),
            "states": reports.count_by_state(connection),
            "minutes": series.minutes(connection, since=START, until=START + timedelta(minutes=90)),
            "latencies": series.latencies(connection),
            "children": lineage.children(connection, ids[0]),
        }


START = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=65)
SELECTORS = (
    Selector(),
    Selector(states=("dead",)),
    Selector(states=("succeeded",), kinds=("Mail",)),
    Selector(queues=("q*",)),
    Selector(fingerprints=(BOOM.fingerprint,)),
    Selector(keys=("k1",)),
    Selector(tags=("red",)),
    Selector(errors=("boom",)),
    Selector(since=datetime.now(UTC) - timedelta(hours=2), states=("cancelled",)),
)


def fill(book: Book) -> list[UUID]:
    """Runs of every state, with keys, tags, errors, retries and a child."""
    ids = [book.bring(state, queue=f"q{place}", kind="Mail")[0] for place, state in enumerate(RunState)]
    held = book.start(queue="q1", key="k1", tags='["red"]', max_attempts=2)
    book.end(held, Outcome.FAILED, failure=BOOM)
    book.step(60)
    (again,) = book.claim(held.run_id)
    book.end(again, Outcome.FAILED, failure=BOOM, cause=None)
    with book.database.write() as connection:
        log = "insert into job_attempt_logs values (:id, 2, gen_random_uuid(), cast(:lines as json), 1, 0, now())"
        connection.execute(text(log), {"id": held.run_id, "lines": '[[1, 2, 3, "x", "hello"]]'})
    child = book.start(parent_id=ids[0])
    book.end(child, Outcome.SUCCEEDED, result={"sum": 3})
    return [*ids, held.run_id, child.run_id]


def replay_action(app: App) -> ReplayAction:
    return ReplayAction(app=app, operator=ROOT)
