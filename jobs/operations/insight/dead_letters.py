"""Dead letters and errors in groups, for decisions about many at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from jobs.app import App
from jobs.definition.redaction import HIDDEN
from jobs.ledger.queries import error_groups as errors
from jobs.ledger.queries import reports
from jobs.operations.audit.operator import Operator, Permission

A_DAY = timedelta(days=1)
G = TypeVar("G", reports.DeadGroup, errors.ErrorGroup)


def dead_groups(
    app: App, operator: Operator, *, since: datetime | None = None, limit: int = 100
) -> list[reports.DeadGroup]:
    """Dead runs by kind, cause and error, the largest group first."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        found = reports.dead_groups(connection, since=since, limit=limit)
    return _shown(found, operator)


def error_groups(
    app: App, operator: Operator, *, since: datetime | None = None, limit: int = 100
) -> list[errors.ErrorGroup]:
    """Failures since then (by default a day ago), by fingerprint, most frequent first."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        found = errors.error_groups(connection, since=since or app.clock.now() - A_DAY, limit=limit)
    return _shown(found, operator)


def _shown(groups: list[G], operator: Operator) -> list[G]:
    """Groups as this operator may see them: without the text of an error, which may hold personal data."""
    if operator.may(Permission.ARGUMENTS_READ):
        return groups
    return [replace(one, error_message=None if one.error_message is None else HIDDEN) for one in groups]
