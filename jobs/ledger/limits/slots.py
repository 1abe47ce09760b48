"""Slots of limits as rows: written when a claim takes them, or when they are handed to a parked run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Uuid, and_, delete, literal_column, select, text, tuple_

from jobs.database.direct_statements import DirectStatement, Runner
from jobs.database.models import JobLimit, JobLimitSlot, aliased
from jobs.database.sql import RowBatch, dialect_of, insert_into, ledger_now, one_of, plus_seconds
from jobs.ledger.limits.counts import Key, keyed, rows_of

HANDOVER_SECONDS = 5.0
"""How long a slot that was handed to a parked run is kept for it. Source: decision; workers claim a ready run within
milliseconds, and if none does, the slot must go to another run."""

TAKEN = RowBatch("taken", run_id=Uuid(), limit_name=Text(), digest=Text(), token=Uuid())
_IDS = RowBatch("wanted", id=Uuid())
Slot = tuple[UUID, Key, UUID | None]
"""A slot of a run, by run, limit and token; without a token, of a run that is ready and not claimed yet."""


def take_slots(runner: Runner, slots: Sequence[Slot], *, now: datetime | None = None) -> None:
    """Record slots of runs."""
    if slots:
        _TAKE.rows(runner, {**rows_of_slots(dialect_of(runner), slots), "now": now})


def rows_of_slots(dialect: str, slots: Sequence[Slot]) -> dict[str, Any]:
    """Slots as the parameters of ``take``."""
    return TAKEN.rows(dialect, [(run_id, *key, token) for run_id, key, token in slots])


def handed_slots(
    runner: Runner, run_ids: Sequence[UUID], *, now: datetime | None = None
) -> dict[int, dict[Key, datetime | None]]:
    """The slots that were handed to these runs, by the number of the run's id; locked, so that nobody takes them away.

    With each: until when its limit is held, or None.
    """
    found: dict[int, dict[Key, datetime | None]] = {}
    given = _IDS.rows(dialect_of(runner), [(one,) for one in run_ids])
    for run_id, name, digest, *holds, moment in _HANDED.rows(runner, {**given, "now": now}):
        until = max((one for one in holds if one is not None and one > moment), default=None)
        found.setdefault(run_id.int, {})[name, digest] = until
    return found


def take_away(runner: Runner, keys: Iterable[Key], *, now: datetime | None = None) -> None:
    """Delete the slots of these keys that were handed to runs which nobody has claimed in time."""
    _TAKE_AWAY.rows(runner, {**rows_of(dialect_of(runner), keys), "now": now})


@cache
def take(dialect: str) -> Any:
    """Write the slots of ``TAKEN``."""
    taken = TAKEN.table(dialect).c
    names = ["run_id", "name", "digest", "token", "taken_at"]
    # Without a WHERE, SQLite cannot tell where the select ends and ON CONFLICT begins.
    rows = select(taken.run_id, taken.limit_name, taken.digest, taken.token, ledger_now()).where(text("true"))
    inserted = insert_into(dialect, JobLimitSlot).from_select(names, rows, include_defaults=False)
    changed = {name: inserted.excluded[name] for name in ("digest", "token", "taken_at")}
    return inserted.on_conflict_do_update(index_elements=["run_id", "name"], set_=changed)


@cache
def _handed(dialect: str) -> Any:
    own, whole = aliased(JobLimit), aliased(JobLimit)
    holds = (own.hold_until, own.run_hold_until, whole.hold_until, whole.run_hold_until)
    return (
        select(JobLimitSlot.run_id, JobLimitSlot.name, JobLimitSlot.digest, *holds, ledger_now())
        .outerjoin(own, and_(own.name == JobLimitSlot.name, own.digest == JobLimitSlot.digest))
        .outerjoin(whole, and_(whole.name == JobLimitSlot.name, whole.digest == literal_column("''")))
        .where(
            one_of(dialect, JobLimitSlot.run_id, select(_IDS.table(dialect).c.id)),
            JobLimitSlot.token.is_(None),
        )
        .with_for_update(of=JobLimitSlot)
    )


def is_forgotten() -> Any:
    """Whether a slot was handed to a run, and nobody has claimed the run in time."""
    last = plus_seconds(ledger_now(), literal_column(str(-HANDOVER_SECONDS)))
    return and_(JobLimitSlot.token.is_(None), JobLimitSlot.taken_at < last)


@cache
def _take_away(dialect: str) -> Any:
    given = keyed(dialect).c
    key = (JobLimitSlot.run_id, JobLimitSlot.name)
    forgotten = (
        select(*key)
        .where(
            tuple_(JobLimitSlot.name, JobLimitSlot.digest).in_(select(given.limit_name, given.digest)), is_forgotten()
        )
        .with_for_update(skip_locked=True)
        .cte("forgotten")
    )
    return delete(JobLimitSlot).where(tuple_(*key).in_(select(*forgotten.c)))


_TAKE, _HANDED, _TAKE_AWAY = DirectStatement(take), DirectStatement(_handed), DirectStatement(_take_away)
