"""Audit: actions of operators and their effect on each run, written in the transaction of the action."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Insert, Integer, Text, Uuid, bindparam, cast, insert, select, update

from jobs.database.models import JsonText, OperatorAction, OperatorActionRun
from jobs.database.sql import Executor, RowBatch, dialect_of, ledger_now
from jobs.ledger.operators.audit_links import (
    BEGUN,
    ENDED,
    RESUMED,
    UNDONE,
    digest_of,
    insert_link,
    link_of_entries,
    link_state,
    write_link,
)

_ENTRIES = RowBatch(
    "entry", action_id=Uuid(), run_id=Uuid(), skipped=Text(), new_run_id=Uuid(), before=Text(), after=Text()
)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """The effect of an action on one run; ``skipped`` says why it did nothing."""

    run_id: UUID
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    skipped: str | None = None
    new_run_id: UUID | None = None


def begin(
    session: Executor,
    action_id: UUID,
    *,
    verb: str,
    actor: str,
    target: str,
    selector: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    reason: str | None = None,
    expected: int = 0,
    before: Mapping[str, Any] | None = None,
    undoes: UUID | None = None,
    request_id: str | None = None,
    now: datetime | None = None,
) -> None:
    """Record the start of an action."""
    session.execute(
        insert(OperatorAction).values(
            id=action_id,
            verb=verb,
            actor=actor,
            target=target,
            selector=_text(selector),
            options=_text(options),
            reason=reason,
            state="running",
            started_at=ledger_now(),
            expected=expected,
            done=0,
            skipped=0,
            before=_text(before),
            undoes=undoes,
            seen_at=ledger_now(),
            request_id=request_id,
        ),
        {"now": now},
    )
    link_state(session, action_id, BEGUN)


def record(session: Executor, action_id: UUID, notes: Sequence[AuditEntry]) -> None:
    """Record the effect on some runs, and count them."""
    if not notes:
        return
    dialect = dialect_of(session)
    rows = [(action_id, one.run_id, one.skipped, one.new_run_id, _text(one.before), _text(one.after)) for one in notes]
    skipped = sum(1 for one in notes if one.skipped is not None)
    counted = session.execute(
        update(OperatorAction)
        .where(OperatorAction.id == action_id)
        .values(
            done=OperatorAction.done + (len(notes) - skipped),
            skipped=OperatorAction.skipped + skipped,
            seen_at=ledger_now(),
        )
        .returning(OperatorAction.done + OperatorAction.skipped, OperatorAction.state),
        {"now": None},
    ).one()
    # The number of entries so far is a number that no other batch of the action has.
    batch, state = counted
    link = link_of_entries(action_id, batch, [row[1:] for row in rows])
    entries = {**_ENTRIES.rows(dialect, rows), "batch": batch}
    if dialect == "postgresql":
        session.execute(_insert_linked(), {**entries, **link})
    else:
        session.execute(_insert(dialect), entries)
        session.execute(insert_link(), link)
    if state != "running":
        # It was told to stop while this batch was under way.
        link_state(session, action_id, ENDED)


def finish(
    session: Executor,
    action_id: UUID,
    state: str,
    *,
    after: Mapping[str, Any] | None = None,
    done: int | None = None,
    now: datetime | None = None,
) -> None:
    """Record the end of an action: finished, interrupted or failed."""
    values: dict[str, Any] = {"state": state, "finished_at": ledger_now()}
    if after is not None:
        values["after"] = _text(after)
    if done is not None:
        values["done"] = done
    session.execute(
        update(OperatorAction).where(OperatorAction.id == action_id).values(**values),
        {"now": now},
    )  # fmt: skip
    link_state(session, action_id, ENDED)


def resume(session: Executor, action_id: UUID) -> datetime | None:
    """Continue an action that was interrupted or failed, or whose process died.

    Returns when it began; None if it was finished.
    """
    began = session.execute(
        update(OperatorAction)
        .where(OperatorAction.id == action_id, OperatorAction.state != "finished")
        .values(state="running", finished_at=None, seen_at=ledger_now())
        .returning(OperatorAction.started_at),
        {"now": None},
    ).scalar_one_or_none()
    if began is not None:
        link_state(session, action_id, RESUMED)
    return began


def stop(session: Executor, action_id: UUID) -> bool:
    """Tell an action to stop. False: it is over already."""
    row = session.execute(
        update(OperatorAction)
        .where(OperatorAction.id == action_id, OperatorAction.state == "running")
        .values(state="interrupted", finished_at=ledger_now())
        .returning(OperatorAction.id),
        {"now": None},
    ).one_or_none()
    if row is not None:
        link_state(session, action_id, ENDED)
    return row is not None


def mark_undone(session: Executor, action_id: UUID, *, by: UUID) -> bool:
    """Record that an action was undone. False: it was undone already."""
    row = session.execute(
        update(OperatorAction)
        .where(OperatorAction.id == action_id, OperatorAction.undone_by.is_(None))
        .values(undone_by=by)
        .returning(OperatorAction.id)
    ).one_or_none()
    if row is not None:
        write_link(session, action_id, UNDONE, digest_of([by]))
    return row is not None


@cache
def _insert(dialect: str) -> Insert:
    new = _ENTRIES.table(dialect).c
    columns: dict[str, Any] = {
        "action_id": new.action_id,
        "run_id": new.run_id,
        "skipped": new.skipped,
        "new_run_id": new.new_run_id,
        "before": cast(new.before, JsonText),
        "after": cast(new.after, JsonText),
        "batch": bindparam("batch", type_=Integer()),
    }
    return insert(OperatorActionRun).from_select(list(columns), select(*columns.values()), include_defaults=False)


@cache
def _insert_linked() -> Insert:
    """The same with the link of the entries, in one statement. PostgreSQL only."""
    return _insert("postgresql").add_cte(insert_link().cte("linked"))


def _text(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value, default=str, ensure_ascii=False)
