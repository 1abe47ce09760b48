"""Slots of limits as rows: written when a claim takes them, or when they are handed to a parked run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Uuid, select, text

from jobs.database.models import JobLimitSlot
from jobs.database.sql import Batch, Executor, dialect_of, insert_into, ledger_now
from jobs.ledger.limits.counts import Key

_TAKEN = Batch("taken", run_id=Uuid(), limit_name=Text(), digest=Text(), token=Uuid())


def take_slots(
    session: Executor, slots: Sequence[tuple[UUID, Key, UUID | None]], *, now: datetime | None = None
) -> None:
    """Record slots of runs, by run, limit and token; without a token, of runs that are ready and not claimed yet."""
    if not slots:
        return
    dialect = dialect_of(session)
    rows = [(run_id, *key, token) for run_id, key, token in slots]
    session.execute(_take(dialect), {**_TAKEN.rows(dialect, rows), "now": now})


@cache
def _take(dialect: str) -> Any:
    taken = _TAKEN.table(dialect).c
    names = ["run_id", "name", "digest", "token", "taken_at"]
    # Without a WHERE, SQLite cannot tell where the select ends and ON CONFLICT begins.
    rows = select(taken.run_id, taken.limit_name, taken.digest, taken.token, ledger_now()).where(text("true"))
    inserted = insert_into(dialect, JobLimitSlot).from_select(names, rows, include_defaults=False)
    changed = {name: inserted.excluded[name] for name in ("digest", "token", "taken_at")}
    return inserted.on_conflict_do_update(index_elements=["run_id", "name"], set_=changed)
