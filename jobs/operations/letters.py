"""Dead letters and errors in groups: what an operator decides about at once."""

from __future__ import annotations

from datetime import datetime, timedelta

from jobs.app import App
from jobs.ledger import errors, reports
from jobs.operations.operator import Operator, Permission

A_DAY = timedelta(days=1)


def dead_groups(
    app: App, operator: Operator, *, since: datetime | None = None, limit: int = 100
) -> list[reports.DeadGroup]:
    """Dead runs by kind, cause and error, the largest group first."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return reports.dead_groups(connection, since=since, limit=limit)


def error_groups(
    app: App, operator: Operator, *, since: datetime | None = None, limit: int = 100
) -> list[errors.ErrorGroup]:
    """What failed since then (a day ago unless said), by fingerprint, the most frequent first."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return errors.error_groups(connection, since=since or app.clock.now() - A_DAY, limit=limit)
