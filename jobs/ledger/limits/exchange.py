"""Gives the slots of runs that end to the next parked runs, one for one. PostgreSQL only.

Part of the statement that ends the attempts. A slot that passes from one run to another does not change how many are
taken, so nothing is counted and no row of a limit is locked: claims and the ends of attempts do not wait for each
other.

A key for which fewer runs are parked than slots become free needs more care: a claim may be parking a run of it right
now. So both look again after their commits: ``left_parked`` and ``with_room``. The same is true while more runs than
the limit perform, because it was lowered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    Float,
    FromClause,
    Integer,
    String,
    Text,
    and_,
    any_,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)

from jobs.database.models import JobLimit, JobLimitSlot, JobRun, aliased
from jobs.database.random_token import random_token
from jobs.database.sql import RowBatch, counted, insert_into, ledger_now, one_of, plus_seconds
from jobs.ledger.claim_columns import claim_columns
from jobs.ledger.holds import no_longer_held
from jobs.ledger.limits.counts import Key
from jobs.ledger.limits.parked import PREFIX, next_parked
from jobs.ledger.records import Claim, Freed
from jobs.states import RunState, checked_move

_KINDS, _QUEUES = RowBatch("starting", kind=Text()), RowBatch("serving", queue=Text())
_SLOT = ["run_id", "name", "digest", "token", "taken_at"]
_FREED = 4
"""Columns of a run that is ready now, before those of one that starts."""


class Exchanged(NamedTuple):
    """The parked runs that are ready now, those that start at once, and the keys whose slots they did not all take."""

    freed: list[Freed]
    started: list[Claim]
    left: list[Key]


class Successors(NamedTuple):
    """Which parked runs whoever ends attempts may claim at once: so many, of these kinds and queues.

    Only of kinds that have nothing but one limit: for the others a claim must look at more.
    """

    most: int
    kinds: Sequence[str]
    queues: Sequence[str]
    lease: timedelta


def rows_of_successors(successors: Successors | None, *, worker: str | None) -> dict[str, Any]:
    """Successors as the parameters of an exchange; None: nothing is claimed."""
    most, kinds, queues, lease = successors or Successors(0, (), (), timedelta(0))
    return {
        **_KINDS.rows("postgresql", [(one,) for one in kinds]),
        **_QUEUES.rows("postgresql", [(one,) for one in queues]),
        "most_started": most,
        "lease_seconds": lease.total_seconds(),
        "by_worker": worker,
    }


def exchange(gone: FromClause, *, may_claim: bool = True) -> tuple[CTE, Sequence[CTE]]:
    """The result of an exchange, to select from, and the parts of the statement that it needs.

    Args:
        gone: ids and tokens of the runs that have a slot no longer. A slot is handed on only if it was taken with this
            token (none: it was handed to a run that had not been claimed); else it did not count, and is deleted.
        may_claim: takes the parameters of ``rows_of_successors`` too, and claims these. Otherwise every run is made
            ready, and the statement is planned in half the time.
    """
    left = (
        delete(JobLimitSlot)
        .where(one_of("postgresql", JobLimitSlot.run_id, select(gone.c.id)))
        .returning(JobLimitSlot.run_id, JobLimitSlot.name, JobLimitSlot.digest, JobLimitSlot.token)
        .cte("left_slots")
    )
    did_count = and_(gone.c.id == left.c.run_id, gone.c.token.is_not_distinct_from(left.c.token))
    free = (
        select(left.c.name, left.c.digest, func.count().label("count"))
        .select_from(left.join(gone, did_count))
        .group_by(left.c.name, left.c.digest)
        .cte("free_slots")
    )
    allowed = _allowed(free)
    room = (
        select(free.c.name, free.c.digest, free.c.count, held_on_key(free).label("held_on"))
        .select_from(free.join(allowed, true()))
        .where(_taken(free) <= allowed.c.most)
        .cte("room")
    )
    more: list[Any] = [JobRun.priority, JobRun.due_at, _may_start().label("may_start")] if may_claim else []
    one = next_parked(room, JobRun.id, *more)
    names: list[Any] = [one.c.id, room.c.name, room.c.digest]
    if may_claim:
        place = func.row_number().over(order_by=(one.c.priority, one.c.due_at, one.c.id))
        names.append(and_(one.c.may_start, place <= bindparam("most_started", type_=Integer())).label("starts"))
    chosen = select(*names).select_from(room.join(one, true())).cte("chosen")
    ready = select(chosen.c.id).where(~chosen.c.starts) if may_claim else select(chosen.c.id)
    released = (
        update(JobRun)
        .where(one_of("postgresql", JobRun.id, ready))
        .values(no_longer_held())
        .returning(JobRun.id, JobRun.queue, JobRun.priority, JobRun.run_at)
        .cte("released")
    )
    started = _started(chosen) if may_claim else None
    both: Any = chosen.outerjoin(released, released.c.id == chosen.c.id)
    got_columns = [one.label(f"freed_{one.name}") for one in released.c]
    new = select(chosen.c.id, chosen.c.name, chosen.c.digest, null().label("token"), ledger_now())
    if started is not None:
        claimed = started.c.id == chosen.c.id
        both = both.outerjoin(started, claimed)
        got_columns += [one.label(f"new_{one.name}") for one in started.c]
        new = select(chosen.c.id, chosen.c.name, chosen.c.digest, started.c.token, ledger_now())
        new = new.select_from(chosen.outerjoin(started, claimed))
    inserted = insert_into("postgresql", JobLimitSlot).from_select(_SLOT, new, include_defaults=False)
    changed = {name: inserted.excluded[name] for name in _SLOT[2:]}
    handed = (
        inserted.on_conflict_do_update(index_elements=_SLOT[:2], set_=changed)
        .returning(JobLimitSlot.run_id)
        .cte("handed")
    )
    got = select(chosen.c.name, chosen.c.digest, *got_columns).select_from(both).subquery("got")
    result = (
        select(free.c.name, free.c.digest, free.c.count, *list(got.c)[2:])
        .select_from(free.outerjoin(got, and_(got.c.name == free.c.name, got.c.digest == free.c.digest)))
        .cte("exchanged")
    )
    return result, (handed,)


def _started(chosen: CTE) -> CTE:
    """Claims the chosen runs that start at once."""
    return (
        update(JobRun)
        .where(one_of("postgresql", JobRun.id, select(chosen.c.id).where(chosen.c.starts)))
        .values(
            **no_longer_held(),
            state=literal_column(f"'{checked_move(RunState.QUEUED, RunState.RUNNING)}'"),
            token=random_token(JobRun.id),
            lease_until=plus_seconds(ledger_now(), bindparam("lease_seconds", type_=Float())),
            attempt=counted(JobRun.attempt, literal_column("1")),
            worker=bindparam("by_worker", type_=String()),
            started_at=ledger_now(),
            state_at=ledger_now(),
        )
        .returning(*claim_columns())
        .cte("started")
    )


def read(rows: Iterable[Sequence[Any]]) -> Exchanged:
    """What an exchange did, by the rows of its result: the name, the digest and the number of slots, and the run."""
    freed: list[Freed] = []
    started: list[Claim] = []
    missing: dict[Key, int] = {}
    for name, digest, count, *run in rows:
        left = missing.setdefault((name, digest), count)
        if run[0] is not None:
            freed.append(Freed(*run[:_FREED]))
        elif len(run) > _FREED and run[_FREED] is not None:
            started.append(Claim(*run[_FREED:]))
        else:
            continue
        missing[name, digest] = left - 1
    return Exchanged(freed, started, [key for key, left in missing.items() if left > 0])


def _may_start() -> ColumnElement[bool]:
    kinds = select(_KINDS.table("postgresql").c.kind)
    queues = select(_QUEUES.table("postgresql").c.queue)
    return and_(
        cast(JobRun.kind, Text) == any_(func.array(kinds.scalar_subquery())),
        cast(JobRun.queue, Text) == any_(func.array(queues.scalar_subquery())),
        or_(JobRun.expires_at.is_(None), JobRun.expires_at > ledger_now(), JobRun.attempt > literal_column("0")),
    )


def _allowed(free: CTE) -> Any:
    """How many may perform of a key, unless it is held. With a limit of one row, so that each is found by its index."""
    own, whole = aliased(JobLimit), aliased(JobLimit)
    holds = (own.hold_until, own.run_hold_until, whole.hold_until, whole.run_hold_until)
    return (
        select(func.coalesce(own.set_most, whole.set_most, whole.most).label("most"))
        .select_from(own)
        .join(whole, and_(whole.name == own.name, whole.digest == literal_column("''")))
        .where(own.name == free.c.name, own.digest == free.c.digest)
        .where(*(or_(hold.is_(None), hold <= ledger_now()) for hold in holds))
        .limit(literal_column("1"))
        .correlate(free)
        .lateral("allowed")
    )


def _taken(free: CTE) -> ColumnElement[int]:
    """How many slots of a key there were when the statement began."""
    same = and_(JobLimitSlot.name == free.c.name, JobLimitSlot.digest == free.c.digest)
    found: ColumnElement[int] = (
        select(func.count()).select_from(JobLimitSlot).where(same).correlate(free).scalar_subquery()
    )
    return found


def held_on_key(slots: FromClause) -> ColumnElement[str]:
    """What a run is held on that is parked on the key of a slot, as ``held_on`` of parked.py writes it."""
    whole: ColumnElement[str] = literal_column(f"'{PREFIX}'", String()) + slots.c.name
    return case(
        (slots.c.digest == literal_column("''"), whole), else_=whole + literal_column("'#'", String()) + slots.c.digest
    )
