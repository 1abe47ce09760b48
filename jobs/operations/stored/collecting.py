"""Collects stored values now, instead of at the pruner's next turn."""

from __future__ import annotations

from jobs.app import App
from jobs.operations.audit.entry import check_reason, record_finished
from jobs.operations.audit.operator import Operator, Permission
from jobs.storage.collector import Collected, collect_values


def collect_stored(app: App, operator: Operator, *, reason: str | None = None) -> Collected:
    """Delete the content of values that nothing refers to any more, as the pruner does. It cannot be undone.

    Raises:
        ServiceDown: the ledger does not answer.
    """
    operator.need(Permission.RUNS_PURGE)
    check_reason(app, reason)
    done = collect_values(app)
    with app.database.write(urgent=True) as connection:
        record_finished(
            connection,
            "collect_stored",
            operator,
            target="stored values",
            reason=reason,
            after={"deleted": done.deleted},
        )
    return done
