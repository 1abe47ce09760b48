"""Progress of an action on runs, whichever process performs it; and stopping one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.errors import Conflict, NotFound
from jobs.ledger.moment import ledger_moment
from jobs.ledger.operators import audit, audit_queries
from jobs.operations.audit.operator import Operator, Permission

LOST_AFTER = timedelta(minutes=1)
"""A running action without a batch for this long has lost its process. Source: decision.

A batch takes milliseconds, and waits for a busy ledger half a minute at most.
"""
VERBS: dict[str, Permission] = {
    "replay": Permission.RUNS_REPLAY,
    "cancel": Permission.RUNS_CANCEL,
    "purge": Permission.RUNS_PURGE,
    "erase": Permission.RUNS_ERASE,
    "restore": Permission.RUNS_PURGE,
    "undo": Permission.AUDIT_READ,
}
"""The bulk actions on runs, and the permissions of which one is needed to see or stop each."""


def state_of(action: dict[str, Any], now: datetime) -> str:
    """``running``, ``finished``, ``interrupted``, ``failed``; or ``lost``: recorded as running, without a process."""
    seen = action["seen_at"] or action["started_at"]
    if action["state"] == "running" and now - seen > LOST_AFTER:
        return "lost"
    return str(action["state"])


def action_of(app: App, action_id: UUID) -> tuple[dict[str, Any], str]:
    """An action that the caller has just begun, and its state."""
    with app.database.read() as connection:
        action, now = audit_queries.find_action(connection, str(action_id)), ledger_moment(connection)
    return action, state_of(action, now)


def find_progress(app: App, operator: Operator, verbs: Sequence[str], action_id: UUID) -> tuple[dict[str, Any], str]:
    """The action of one of these verbs, and its state.

    Raises:
        NotFound: there is none.
    """
    _need_any(operator, verbs)
    action, state = action_of(app, action_id)
    if action["verb"] not in verbs:
        raise NotFound(f"There is no {verbs[0]} {action_id}.")
    return action, state


def list_progress(
    app: App, operator: Operator, verbs: Sequence[str], *, before: UUID | None = None, limit: int = 50
) -> list[tuple[dict[str, Any], str]]:
    """The actions of these verbs, latest first, each with its state."""
    _need_any(operator, verbs)
    with app.database.read() as connection:
        found, now = (
            audit_queries.list_actions(connection, before=before, limit=limit, verbs=verbs),
            ledger_moment(connection),
        )
    return [(one, state_of(one, now)) for one in found]


def stop(app: App, operator: Operator, verbs: Sequence[str], action_id: UUID) -> None:
    """Stop an action after its current batch; what it has done stays done.

    Raises:
        NotFound: there is none of these verbs.
        Conflict: it is over.
    """
    if not any(operator.may(VERBS[verb]) for verb in verbs):
        operator.need(VERBS[verbs[0]])
    action, _ = find_progress(app, operator, verbs, action_id)
    operator.need(VERBS[action["verb"]])
    with app.database.write(urgent=True) as connection:
        if not audit.stop(connection, action_id):
            raise Conflict(f"Action {action_id} is over.", hint="To reverse it, undo it.")


def _need_any(operator: Operator, verbs: Sequence[str]) -> None:
    """Operators who may do the action, or read the audit, may see its progress."""
    if not any(operator.may(VERBS[verb]) for verb in verbs):
        operator.need(Permission.AUDIT_READ)
