"""Claims in which tenants take turns.

The usual order decides how many places the runs with a tenant get in a queue and priority; turns decide whose they are.
So runs without a tenant keep their places beside them. A tenant alone gets every place, and costs one look.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import CTE, select

from jobs.database.models import JobRun
from jobs.database.sql import Executor, dialect_of, one_of
from jobs.definition.fairness import weight_of
from jobs.ledger.fairness.shares import Turn, after, share
from jobs.ledger.fairness.tenants import (
    Level,
    lock_level,
    next_runs,
    save_turns,
    waiting_tenants,
)
from jobs.ledger.queries.priority_levels import QUEUES
from jobs.ledger.records import Claim
from jobs.ledger.runs.claim import candidates
from jobs.ledger.runs.claim_statements import IDS, KINDS, due_ids, due_of_queues


def claim_in_turn(
    session: Executor,
    run_ids: Sequence[UUID],
    *,
    kinds: Sequence[str],
    worker: str,
    lease: timedelta,
    now: datetime | None = None,
) -> list[Claim]:
    """``candidates``, with other runs in place of those of ``run_ids`` whose tenants are not next."""
    if not run_ids:
        return []
    dialect = dialect_of(session)
    ids = IDS.rows(dialect, [(one,) for one in sorted(run_ids, key=lambda one: one.int)])
    rows = session.execute(_rows_of_ids(dialect), {**ids, **_known(dialect, kinds), "now": now}).all()
    return _claim(session, rows, kinds=kinds, worker=worker, lease=lease, now=now)


def claim_due_in_turn(
    session: Executor,
    queue: str,
    *,
    count: int,
    kinds: Sequence[str],
    worker: str,
    lease: timedelta,
    now: datetime | None = None,
) -> list[Claim]:
    """``due_candidates`` of one queue, with tenants in turn."""
    dialect = dialect_of(session)
    queues = {"in_queue": queue} if dialect == "sqlite" else QUEUES.rows(dialect, [(queue,)])
    rows = session.execute(
        _rows_of_queue(dialect), {**queues, "count": count, **_known(dialect, kinds), "now": now}
    ).all()
    return _claim(session, rows, kinds=kinds, worker=worker, lease=lease, now=now)


class _Taken(NamedTuple):
    """The runs that get the places of a level, in turn, with their tenants; and what is recorded of it."""

    tenants: dict[UUID, str]
    turns: dict[str, Turn]
    began: float
    at: float
    resume_after: str | None


def _claim(session: Executor, rows: Sequence[Any], *, kinds: Sequence[str], **given: Any) -> list[Claim]:
    now = given["now"]
    chosen: list[UUID] = []
    places: dict[Level, list[UUID]] = defaultdict(list)
    for run_id, queue, priority, tenant in rows:
        if tenant is None:
            chosen.append(run_id)
        else:
            places[Level(queue, priority)].append(run_id)
    taken: dict[Level, _Taken] = {}
    for level in sorted(places):
        in_turn = _take_turns(session, level, len(places[level]), kinds, now)
        if in_turn is None:
            chosen += places[level]
        else:
            chosen += in_turn.tenants
            taken[level] = in_turn
    claims = candidates(session, chosen, kinds=kinds, **given)
    for level, in_turn in taken.items():
        claims = _in_turn(claims, in_turn)
        _record(session, level, in_turn, claims, now)
    return claims


def _take_turns(
    session: Executor, level: Level, places: int, kinds: Sequence[str], now: datetime | None
) -> _Taken | None:
    """Choose the runs that get the places of a level; None if one tenant alone waits."""
    level_now = lock_level(session, level, now=now)
    turns, resume_after = _look(session, level, level_now.resume_after, level_now.turn, now)
    if len(turns) < 2:
        return None
    found: dict[str, list[UUID]] = {}
    most: dict[str, int] = {}
    order, at = share(turns, places, at=level_now.turn, most=most)
    while True:
        counts = Counter(order)
        asked = {tenant: count for tenant, count in counts.items() if len(found.get(tenant, ())) < count}
        if not asked:
            break
        found |= next_runs(session, level, asked, kinds=kinds, now=now)
        # Those that have fewer leave their places to others.
        most |= {tenant: len(found[tenant]) for tenant, count in asked.items() if len(found[tenant]) < count}
        order, at = share(turns, places, at=level_now.turn, most=most)
    each = {tenant: iter(ids) for tenant, ids in found.items()}
    return _Taken({next(each[tenant]): tenant for tenant in order}, turns, level_now.turn, at, resume_after)


def _look(
    session: Executor, level: Level, resume_after: str | None, at: float, now: datetime | None
) -> tuple[dict[str, Turn], str | None]:
    """The tenants that this claim considers, and after which the next one goes on if these are not all."""
    some, last = waiting_tenants(session, level, after=resume_after or "", now=now)
    if resume_after is not None and last is None:
        more, _ = waiting_tenants(session, level, now=now)
        some |= more
    return {tenant: turn or Turn(at) for tenant, turn in some.items()}, last


def _in_turn(claims: Sequence[Claim], taken: _Taken) -> list[Claim]:
    """The claims with those of a level in turn, in the places that these have among the others."""
    of_level = {one.run_id: one for one in claims if one.run_id in taken.tenants}
    following = (of_level[run_id] for run_id in taken.tenants if run_id in of_level)
    return [next(following) if one.run_id in of_level else one for one in claims]


def _record(session: Executor, level: Level, taken: _Taken, claims: Sequence[Claim], now: datetime | None) -> None:
    """Record the next turns, by the weights that the arguments of the claimed runs give."""
    turns = dict(taken.turns)
    for one in claims:
        tenant = taken.tenants.get(one.run_id)
        if tenant is not None:
            turns[tenant] = turns[tenant]._replace(weight=weight_of(one.kind, one.arguments, one.arguments_version))
    following = after(turns, list(taken.tenants.values()), at=taken.began)
    save_turns(
        session, level, {tenant: Turn(turn, turns[tenant].weight) for tenant, turn in following.items()}, now=now
    )
    save_turns(session, level, {"": Turn(taken.at)}, resume_after=taken.resume_after, now=now)


def _known(dialect: str, kinds: Sequence[str]) -> dict[str, Any]:
    return KINDS.rows(dialect, [(kind,) for kind in kinds])


def _details(dialect: str, due: CTE) -> Any:
    return select(JobRun.id, JobRun.queue, JobRun.priority, JobRun.tenant).where(
        one_of(dialect, JobRun.id, select(due.c.id))
    )


@cache
def _rows_of_ids(dialect: str) -> Any:
    return _details(dialect, due_ids(dialect))


@cache
def _rows_of_queue(dialect: str) -> Any:
    return _details(dialect, due_of_queues(dialect))
