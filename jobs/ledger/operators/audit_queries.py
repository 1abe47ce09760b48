"""Reads of the audit: actions of operators, and their effect on each run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import String, cast, select

from jobs.database.models import OperatorAction, OperatorActionRun
from jobs.database.sql import Executor
from jobs.errors import Ambiguous, NotFound
from jobs.ledger.operators.audit import AuditEntry

_COLUMNS = tuple(OperatorAction.__table__.columns)


def is_running(session: Executor, action_id: UUID) -> bool:
    """Whether an action has begun and was not ended or stopped."""
    return session.scalar(select(OperatorAction.state).where(OperatorAction.id == action_id)) == "running"


def list_actions(
    session: Executor,
    *,
    before: UUID | None = None,
    limit: int = 50,
    run_id: UUID | None = None,
    verbs: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Actions, latest first; with ``verbs``, those on runs that did one of them.

    With ``run_id``, those on that run, and ``run_skipped``: why the action skipped it.
    """
    query = select(*_COLUMNS)
    if verbs:
        query = query.where(OperatorAction.verb.in_(list(verbs)), OperatorAction.target == "runs")
    if run_id is not None:
        query = (
            select(*_COLUMNS, OperatorActionRun.skipped.label("run_skipped"))
            .join(OperatorActionRun, OperatorActionRun.action_id == OperatorAction.id)
            .where(OperatorActionRun.run_id == run_id)
        )
    if before is not None:
        query = query.where(OperatorAction.id < before)
    rows = session.execute(query.order_by(OperatorAction.id.desc()).limit(limit))
    return [dict(row._mapping) for row in rows]


def find_action(session: Executor, text: str) -> dict[str, Any]:
    """The action with this id, or with this beginning or end of an id.

    Raises:
        NotFound: there is none.
        Ambiguous: there are several.
    """
    plain = text.strip().lower().replace("-", "")
    if len(plain) == 32:
        return _action(session, plain)
    if len(plain) < 6 or set(plain) - set("0123456789abcdef"):
        raise NotFound(f"{text!r} is not the id of an action.", hint="jobledger audit list shows them.")
    digits = cast(OperatorAction.id, String)
    found = [
        one for one in session.scalars(select(OperatorAction.id).where(digits.like(f"%{plain[-6:]}%")).limit(1000))
        if one.hex.endswith(plain) or one.hex.startswith(plain)
    ]  # fmt: skip
    if not found and len(plain) <= 12:
        found = [one for one in session.scalars(select(OperatorAction.id).limit(10_000)) if one.hex.startswith(plain)]
    if not found:
        raise NotFound(f"There is no action {text}.", hint="jobledger audit list shows them.")
    if len(found) > 1:
        raise Ambiguous(f"{text} means more than one action.", matches=tuple(map(str, found)), hint="Give more of it.")
    return _action(session, found[0].hex)


def _action(session: Executor, digits: str) -> dict[str, Any]:
    row = None
    if not set(digits) - set("0123456789abcdef"):
        row = session.execute(select(*_COLUMNS).where(OperatorAction.id == UUID(digits))).one_or_none()
    if row is None:
        raise NotFound(f"There is no action {digits}.", hint="jobledger audit list shows them.")
    return dict(row._mapping)


def entries_of(
    session: Executor, action_id: UUID, *, after: UUID | None = None, limit: int = 500, skipped: bool | None = None
) -> list[AuditEntry]:
    """The effects of an action, by run id."""
    query = select(
        OperatorActionRun.run_id,
        OperatorActionRun.before,
        OperatorActionRun.after,
        OperatorActionRun.skipped,
        OperatorActionRun.new_run_id,
    ).where(OperatorActionRun.action_id == action_id)
    if after is not None:
        query = query.where(OperatorActionRun.run_id > after)
    if skipped is not None:
        query = query.where(OperatorActionRun.skipped.is_not(None) if skipped else OperatorActionRun.skipped.is_(None))
    return [AuditEntry(*row) for row in session.execute(query.order_by(OperatorActionRun.run_id).limit(limit))]


def already_recorded(session: Executor, action_id: UUID, run_ids: Sequence[UUID]) -> set[UUID]:
    """Those of ``run_ids`` that the action has handled."""
    return set(
        session.scalars(
            select(OperatorActionRun.run_id).where(
                OperatorActionRun.action_id == action_id, OperatorActionRun.run_id.in_(list(run_ids))
            )
        )
    )
