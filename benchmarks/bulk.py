"""Bulk actions of operators: their duration, and their longest transaction.

``python -m benchmarks.bulk URL [COUNT]`` writes COUNT dead runs (100,000 unless said) into the (migrated, empty)
ledger at URL, and replays, takes back, cancels, purges and restores them all.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, text

from benchmarks.kit.fill import fill_ledger
from jobs import boot
from jobs.app import App
from jobs.database.engine import Database
from jobs.migration import schema
from jobs.settings import Settings

GROUP = "00000000beef"
"""The fingerprint of the runs that are replayed."""


def main() -> None:
    from jobs.ledger.queries.selectors import Selector
    from jobs.operations.audit.operator import Operator
    from jobs.operations.bulk import action
    from jobs.operations.bulk.cancel import CancelAction
    from jobs.operations.bulk.purge import PurgeAction, RestoreAction
    from jobs.operations.bulk.replay import ReplayAction
    from jobs.operations.bulk.undo import plan_undo, undo

    url, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    app = boot.build(Settings.read(database_url=url))
    schema.upgrade(app.database)
    fill_dead(app.database, count)
    ada, group = Operator("bench"), Selector(fingerprints=(GROUP,))

    def act(what: action.Act) -> action.Report:
        return action.carry_out(app, ada, what, action.plan(app, ada, what, group))

    def replay() -> action.Report:
        return act(ReplayAction(app=app, operator=ada))

    first = measured(app, "replay", replay)
    measured(app, "undo", lambda: undo(app, ada, plan_undo(app, ada, str(first.action_id))))
    measured(app, "replay again", replay)
    measured(app, "cancel", lambda: act(CancelAction(reason="bench")))
    measured(app, "purge", lambda: act(PurgeAction()))
    measured(app, "restore", lambda: act(RestoreAction()))
    app.close()


def measured(app: App, name: str, do: Callable[[], Any]) -> Any:
    with longest_transaction(app.database) as longest:
        began = time.perf_counter()
        report = do()
        took = time.perf_counter() - began
    print(
        f"{name:14} {report.done:9,} runs  {took:6.1f} s  {report.done / took:8,.0f} a second  "
        f"longest transaction {max(longest) * 1000:5.0f} ms",
        flush=True,
    )
    return report


def fill_dead(database: Database, count: int) -> None:
    """Write at least ``count`` runs that succeeded, and make ``count`` of them dead of one error."""
    fill_ledger(database, count + count // 50 + 1000)
    died = (
        "update job_runs set state = 'dead', cause = 'exhausted', charged = 1, error_type = 'shop.Late', "
        "error_message = 'too late', fingerprint = :fingerprint where id in "
        "(select id from job_runs where state = 'succeeded' limit :count)"
    )
    with database.write() as connection:
        connection.execute(text(died), {"fingerprint": GROUP, "count": count})
    with database.engine.connect() as connection:
        statement = "vacuum analyze" if database.dialect == "postgresql" else "analyze"
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(statement))


@contextmanager
def longest_transaction(database: Database) -> Iterator[list[float]]:
    """How long each transaction was open, in seconds."""
    began: dict[int, float] = {}
    took: list[float] = []

    def begin(connection: Any) -> None:
        began[id(connection)] = time.perf_counter()

    def end(connection: Any) -> None:
        if id(connection) in began:
            took.append(time.perf_counter() - began.pop(id(connection)))

    heard = (("begin", begin), ("commit", end), ("rollback", end))
    for name, hear in heard:
        event.listen(database.engine, name, hear)
    try:
        yield took
    finally:
        for name, hear in heard:
            event.remove(database.engine, name, hear)


if __name__ == "__main__":
    main()
