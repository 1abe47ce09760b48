"""The rows of breakers: which slices are open, and the lock that opens and closes them.

Whoever opens, closes or parks locks the breaker's own row first, in the order of names, and reads its slices by a later
statement. Locks of runs come before it, and locks of limits after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Float, Text, and_, literal, select, tuple_, update

from jobs.database.models import JobBreaker
from jobs.database.sql import Executor, RowBatch, dialect_of, insert_into, ledger_now, plus_seconds
from jobs.definition.breaker import Breaker
from jobs.definition.breakers import Slice

PREFIX = "breaker:"
_SLICES = RowBatch("sliced", breaker_name=Text(), digest=Text())


class Open(NamedTuple):
    """An open slice: when its next canary may go, whether it may go now, and how many have failed in a row."""

    probe_at: datetime
    is_due: bool
    failed_canaries: int


def held_on(one: Slice) -> str:
    """What a run is held on that is parked by this slice: ``breaker:Charge``, with ``#`` and the digest of a key."""
    return f"{PREFIX}{one.name}#{one.digest}" if one.digest else f"{PREFIX}{one.name}"


def slice_named(held: str) -> Slice:
    """The slice that ``held_on`` names."""
    name, _, digest = held.removeprefix(PREFIX).partition("#")
    return Slice(name, digest)


def declare(session: Executor, breakers: Iterable[Breaker], *, now: datetime | None = None) -> None:
    """Record what code declares, and make the rows that are locked."""
    for one in sorted(breakers, key=lambda one: str(one.name)):
        given = {
            "keyed_by": one.by,
            "after": one.after,
            "within_seconds": one.within.total_seconds(),
            "open_seconds": one.open_for.total_seconds(),
        }
        row = insert_into(dialect_of(session), JobBreaker).values(
            name=one.name, digest="", failed_canaries=0, changed_at=ledger_now(), **given
        )
        session.execute(row.on_conflict_do_nothing(), {"now": now})
        own = and_(JobBreaker.name == one.name, JobBreaker.digest == "")
        there = session.execute(select(*(getattr(JobBreaker, name) for name in given)).where(own)).one()
        if tuple(there) != tuple(given.values()):
            session.execute(update(JobBreaker).where(own).values(**given))


def lock_breakers(session: Executor, names: Iterable[str]) -> set[str]:
    """Lock breakers with all their slices until the transaction ends. Returns those that are declared."""
    query = select(JobBreaker.name).where(JobBreaker.digest == "", JobBreaker.name.in_(sorted(set(names))))
    return set(session.scalars(query.order_by(JobBreaker.name).with_for_update()))


def open_slices(session: Executor, slices: Iterable[Slice], *, now: datetime | None = None) -> dict[Slice, Open]:
    """Those of ``slices`` that are open."""
    dialect = dialect_of(session)
    given = {**_SLICES.rows(dialect, [tuple(one) for one in slices]), "now": now}
    return {Slice(row[0], row[1]): Open(row[2], bool(row[3]), row[4]) for row in session.execute(_open(dialect), given)}


def set_open(
    session: Executor,
    one: Slice,
    *,
    seconds: float,
    key: str | None = None,
    failed_canaries: int = 0,
    now: datetime | None = None,
    **why: Any,
) -> datetime:
    """Open a slice, or open it again, for so many seconds. Returns when its next canary may go.

    Args:
        why: ``fingerprint``, ``error_type`` and ``failures``; left out, they stay.
    """
    dialect = dialect_of(session)
    row = insert_into(dialect, JobBreaker).values(
        name=one.name, digest=one.digest, key=key, failed_canaries=0, changed_at=ledger_now()
    )
    session.execute(row.on_conflict_do_nothing(), {"now": now})
    # A new opening has a new beginning; a canary's failure keeps it.
    began = {} if failed_canaries else {"opened_at": ledger_now()}
    session.execute(
        update(JobBreaker)
        .where(_is(one))
        .values(
            **began,
            probe_at=plus_seconds(ledger_now(), literal(seconds, Float())),
            failed_canaries=failed_canaries,
            changed_at=ledger_now(),
            **why,
        ),
        {"now": now},
    )
    return _probe_at(session, one)


def set_due(session: Executor, one: Slice, *, now: datetime | None = None) -> datetime:
    """Let the next canary of an open slice go now. Returns this moment."""
    statement = update(JobBreaker).where(_is(one)).values(probe_at=ledger_now(), changed_at=ledger_now())
    session.execute(statement, {"now": now})
    return _probe_at(session, one)


def set_closed(session: Executor, one: Slice, *, now: datetime | None = None) -> None:
    """Close a slice; its last failure stays to be read."""
    session.execute(
        update(JobBreaker)
        .where(_is(one))
        .values(opened_at=None, probe_at=None, failed_canaries=0, changed_at=ledger_now()),
        {"now": now},
    )


def _probe_at(session: Executor, one: Slice) -> datetime:
    at = session.execute(select(JobBreaker.probe_at).where(_is(one))).scalar_one()
    assert at is not None
    return at


def _is(one: Slice) -> Any:
    return and_(JobBreaker.name == one.name, JobBreaker.digest == one.digest)


@cache
def _open(dialect: str) -> Any:
    given = _SLICES.table(dialect).c
    return select(
        JobBreaker.name,
        JobBreaker.digest,
        JobBreaker.probe_at,
        JobBreaker.probe_at <= ledger_now(),
        JobBreaker.failed_canaries,
    ).where(
        tuple_(JobBreaker.name, JobBreaker.digest).in_(select(given.breaker_name, given.digest)),
        JobBreaker.opened_at.is_not(None),
    )
