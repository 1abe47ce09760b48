"""The names in the ledger: kinds and queues, for completion and for detecting misspelt names."""

from __future__ import annotations

from jobs.app import App
from jobs.ledger.operators.queues import names_in_use
from jobs.operations.audit.operator import Operator, Permission


def known_names(app: App, operator: Operator, what: str) -> list[str]:
    """Every ``kind`` or ``queue`` that a run has, that live workers know, or that is paused; sorted."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        queues, kinds = names_in_use(connection)
    return sorted(kinds if what == "kind" else queues)
