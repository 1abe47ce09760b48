"""Claim: one statement takes many due runs; each gets a fresh random token, a lease and its next attempt.

Where limits, breakers or turns decide which runs start, a claim looks at candidates first. On PostgreSQL they are only
locked, and look as if they were claimed: ``admit`` claims those that may go, and the others are parked or never
touched. On SQLite, where nobody else writes before the commit, they are claimed at once, and whoever refuses one undoes
its claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import starmap
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from jobs.database.direct_statements import DirectConnection, DirectStatement, Runner
from jobs.database.sql import Executor, dialect_of
from jobs.ledger.claim_columns import candidate_columns
from jobs.ledger.limits.written import claims_at_once
from jobs.ledger.queries.priority_levels import FROM_THE_START, PLACES, QUEUES
from jobs.ledger.records import Claim
from jobs.ledger.runs.claim_statements import (
    IDS,
    KINDS,
    claim_from_places,
    claim_ids,
    claim_queues,
    due_ids,
    due_of_queues,
    next_due,
    until_due,
)
from jobs.ledger.runs.unreadable_claims import mark_unreadable, rename_unreadable

Place = tuple[int, datetime, UUID]
"""A place in the order of a queue's runs: priority, ``run_at`` and id."""


def claim(
    session: Executor,
    run_ids: Sequence[UUID],
    *,
    kinds: Sequence[str],
    worker: str,
    lease: timedelta,
    now: datetime | None = None,
) -> list[Claim]:
    """Claim those of ``run_ids`` that are due, of a known kind, and not paused; the others do not change.

    By primary key: a long transaction elsewhere, with the dead rows it pins, does not slow it.
    """
    if not run_ids:
        return []
    dialect = dialect_of(session)
    values = {**_ids(dialect, run_ids), **_values(dialect, kinds, worker, lease, now)}
    return _read(session, session.execute(claim_ids(dialect), values).all())


def claim_due(
    session: Executor,
    queue: str,
    *,
    count: int,
    kinds: Sequence[str],
    worker: str,
    lease: timedelta,
    now: datetime | None = None,
) -> list[Claim]:
    """Claim up to ``count`` due runs of ``queue``, by priority, then in the order they became due.

    Skips rows that another worker is claiming.
    """
    dialect = dialect_of(session)
    values = {**_queues(dialect, [queue]), "count": count, **_values(dialect, kinds, worker, lease, now)}
    return _read(session, session.execute(claim_queues(dialect), values).all())


def claim_direct(
    connection: DirectConnection,
    run_ids: Sequence[UUID],
    *,
    kinds: Sequence[str],
    worker: str,
    lease: timedelta,
    now: datetime | None = None,
) -> list[Claim]:
    """``claim`` as one direct statement, which commits. PostgreSQL only."""
    if not run_ids:
        return []
    values = {**_ids("postgresql", run_ids), **_values("postgresql", kinds, worker, lease, now)}
    return in_order(starmap(Claim, _CLAIM_IDS.run(connection, values)))


def claim_due_direct(
    connection: DirectConnection,
    queues: Sequence[str],
    *,
    count: int,
    kinds: Sequence[str],
    worker: str,
    lease: timedelta,
    places: Mapping[str, Place] | None = None,
    now: datetime | None = None,
) -> list[Claim]:
    """``claim_due`` from several queues, the first one first, as one direct statement, which commits. PostgreSQL only.

    If it returns fewer than ``count``, there were no more.

    Args:
        places: the place in a queue from which to look; due runs of the same priority before it are passed over.
    """
    statement, served = _CLAIM_QUEUES, _queues("postgresql", queues)
    if places:
        rows = [(queue, *places.get(queue, FROM_THE_START)) for queue in queues]
        statement, served = _CLAIM_FROM_PLACES, PLACES.rows("postgresql", rows)
    values = {**served, "count": count, **_values("postgresql", kinds, worker, lease, now)}
    claims = in_order(starmap(Claim, statement.run(connection, values)))
    if len(queues) > 1:
        place = {queue: number for number, queue in enumerate(queues)}
        claims.sort(key=lambda one: place[one.queue])
    return claims


def candidates(
    runner: Runner,
    run_ids: Sequence[UUID],
    *,
    kinds: Sequence[str],
    worker: str,
    lease: timedelta,
    now: datetime | None = None,
) -> list[Claim]:
    """Those of ``run_ids`` that ``claim`` would claim."""
    if claims_at_once(runner) and not isinstance(runner, DirectConnection):
        return claim(runner, run_ids, kinds=kinds, worker=worker, lease=lease, now=now)
    if not run_ids:
        return []
    ids = IDS.rows("postgresql", [(one,) for one in sorted(run_ids, key=lambda one: one.int)])
    return in_order(Claim(*row) for row in _OF_IDS.rows(runner, {**ids, **_known("postgresql", kinds), "now": now}))


def due_candidates(
    runner: Runner,
    queues: Sequence[str],
    *,
    count: int,
    kinds: Sequence[str],
    worker: str,
    lease: timedelta,
    now: datetime | None = None,
) -> list[Claim]:
    """Up to ``count`` due runs of several queues, the first one first, as ``claim_due`` would claim them."""
    if claims_at_once(runner) and not isinstance(runner, DirectConnection):
        given: dict[str, Any] = {"kinds": kinds, "worker": worker, "lease": lease, "now": now}
        claims: list[Claim] = []
        for queue in queues:
            if len(claims) < count:
                claims += claim_due(runner, queue, count=count - len(claims), **given)
        return claims
    served = QUEUES.rows("postgresql", [(one,) for one in queues])
    rows = _OF_QUEUES.rows(runner, {**served, **_known("postgresql", kinds), "count": count, "now": now})
    found = in_order(Claim(*row) for row in rows)
    place = {queue: number for number, queue in enumerate(queues)}
    return sorted(found, key=lambda one: place[one.queue]) if len(queues) > 1 else found


def next_due_at(session: Executor, queue: str, *, now: datetime | None = None) -> datetime | None:
    """When the next waiting run of ``queue`` that is not due yet becomes due; None if there is none."""
    dialect = dialect_of(session)
    return session.scalar(next_due(dialect), {**_queues(dialect, [queue]), "since_seconds": 0.0, "now": now})


def seconds_until_due(
    session: Executor, queue: str, *, since_seconds: float = 0.0, now: datetime | None = None
) -> float | None:
    """Seconds until ``next_due_at``, by the ledger's clock: the caller's may be hours off.

    Args:
        since_seconds: also count runs that became due within this time, which the caller's last claim did not see. The
            result is then below zero.
    """
    dialect = dialect_of(session)
    return session.scalar(until_due(dialect), {**_queues(dialect, [queue]), "since_seconds": since_seconds, "now": now})


def seconds_until_due_direct(
    connection: DirectConnection, queues: Sequence[str], *, since_seconds: float = 0.0, now: datetime | None = None
) -> float | None:
    """``seconds_until_due`` for several queues, as one direct statement. PostgreSQL only."""
    values = {**_queues("postgresql", queues), "since_seconds": since_seconds, "now": now}
    ((seconds,),) = _UNTIL_DUE.run(connection, values)
    return None if seconds is None else float(seconds)


def _ids(dialect: str, run_ids: Sequence[UUID]) -> dict[str, Any]:
    # UUIDs compare in Python, numbers do not.
    return IDS.rows(dialect, [(one,) for one in sorted(run_ids, key=lambda one: one.int)])


def _queues(dialect: str, queues: Sequence[str]) -> dict[str, Any]:
    return {"in_queue": queues[0]} if dialect == "sqlite" else QUEUES.rows(dialect, [(one,) for one in queues])


def _values(dialect: str, kinds: Sequence[str], worker: str, lease: timedelta, now: datetime | None) -> dict[str, Any]:
    return {**_known(dialect, kinds), "by_worker": worker, "lease_seconds": lease.total_seconds(), "now": now}


def _known(dialect: str, kinds: Sequence[str]) -> dict[str, Any]:
    return KINDS.rows(dialect, [(kind,) for kind in kinds])


def _read(session: Executor, rows: Sequence[Any]) -> list[Claim]:
    claims = in_order(starmap(Claim, rows))
    rename_unreadable(session, claims)
    return claims


def in_order(found: Iterable[Claim]) -> list[Claim]:
    """Claims by priority, then by when they were due, with what is unreadable noted on them."""
    claims = list(found)
    mark_unreadable(claims)
    claims.sort(key=lambda one: (one.priority, one.run_at, one.run_id.int))
    return claims


@cache
def _of_ids(dialect: str) -> Select[Any]:
    return select(*due_ids(dialect, *candidate_columns()).c)


@cache
def _of_queues(dialect: str) -> Select[Any]:
    return select(*due_of_queues(dialect, *candidate_columns()).c)


_OF_IDS, _OF_QUEUES = DirectStatement(_of_ids), DirectStatement(_of_queues)
_CLAIM_IDS, _CLAIM_QUEUES = DirectStatement(claim_ids), DirectStatement(claim_queues)
_CLAIM_FROM_PLACES = DirectStatement(claim_from_places)
_UNTIL_DUE = DirectStatement(until_due)
