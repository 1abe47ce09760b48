"""Reads the audit: who did what, to which runs, why, and how many."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.ledger.operators import audit_queries
from jobs.ledger.operators.audit import AuditEntry
from jobs.ledger.queries import find
from jobs.operations.audit.operator import Operator, Permission


def list_actions(
    app: App, operator: Operator, *, before: UUID | None = None, limit: int = 50, run: str | None = None
) -> list[dict[str, Any]]:
    """Actions, latest first; with ``run``, those on the run that it identifies.

    Raises:
        NotFound: it identifies none.
        Ambiguous: it identifies several.
    """
    operator.need(Permission.AUDIT_READ)
    with app.database.read() as connection:
        run_id = None if run is None else find.resolve_id(connection, run)
        return audit_queries.list_actions(connection, before=before, limit=limit, run_id=run_id)


def find_action(
    app: App, operator: Operator, text: str, *, after: UUID | None = None, limit: int = 100
) -> tuple[dict[str, Any], list[AuditEntry]]:
    """An action, and its effects on runs, by run id: the first of those after ``after``.

    Raises:
        NotFound: ``text`` identifies none.
        Ambiguous: ``text`` identifies several.
    """
    operator.need(Permission.AUDIT_READ)
    with app.database.read() as connection:
        action = audit_queries.find_action(connection, text)
        return action, audit_queries.entries_of(connection, action["id"], after=after, limit=limit)


def of_run(app: App, operator: Operator, run_id: UUID, *, limit: int = 20) -> list[dict[str, Any]]:
    """Actions on a run, latest first; empty for an operator who may not read the audit."""
    if not operator.may(Permission.AUDIT_READ):
        return []
    with app.database.read() as connection:
        return audit_queries.list_actions(connection, run_id=run_id, limit=limit)
