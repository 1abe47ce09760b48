"""Claims and settles as the fetcher and the settler of a worker do: by direct statements, where the dialect can."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypedDict
from uuid import UUID

from sqlalchemy import Connection

from jobs.database.engine import Database
from jobs.definition.breakers import guarded_kinds
from jobs.definition.fairness import fair_kinds
from jobs.definition.limits import limited_kinds
from jobs.ledger.breakers.admit import hold_back
from jobs.ledger.fairness.claim import claim_due_in_turn, claim_in_turn
from jobs.ledger.limits.admit import AdmittedClaims, admit
from jobs.ledger.limits.counts import with_room
from jobs.ledger.limits.reassign import left_parked, reassign
from jobs.ledger.records import AttemptResult, Claim, RecordedAttempt
from jobs.ledger.runs.claim import candidates, claim_direct, claim_due_direct, due_candidates
from jobs.ledger.runs.settle_plain import is_limited_success, is_plain, settle_limited, settle_plain


class Given(TypedDict):
    """What each claim is given."""

    kinds: Sequence[str]
    worker: str
    lease: timedelta
    now: datetime


def claim_ids(database: Database, run_ids: Sequence[UUID], given: Given) -> list[Claim]:
    """Claim those of these runs that may start."""
    if database.dialect == "postgresql" and _are_plain(given["kinds"]):
        with database.direct() as direct:
            return claim_direct(direct, run_ids, **given)
    by_ids = claim_in_turn if _take_turns(given["kinds"]) else candidates
    with database.write() as connection:
        admitted = _admitted(connection, by_ids(connection, run_ids, **given), given)
    return _reassigned(database, admitted, given)


def claim_due(database: Database, queue: str, count: int, given: Given) -> list[Claim]:
    """Claim due runs of a queue."""
    if database.dialect == "postgresql" and _are_plain(given["kinds"]):
        with database.direct() as direct:
            return claim_due_direct(direct, [queue], count=count, **given)
    with database.write() as connection:
        if _take_turns(given["kinds"]):
            due = claim_due_in_turn(connection, queue, count=count, **given)
        else:
            due = due_candidates(connection, [queue], count=count, **given)
        admitted = _admitted(connection, due, given)
    return _reassigned(database, admitted, given)


def settle_plain_successes(
    database: Database, endings: Sequence[AttemptResult], *, worker: str, now: datetime
) -> list[tuple[AttemptResult, RecordedAttempt]]:
    """Settle those of these ends that one statement can record; none on SQLite."""
    done: list[tuple[AttemptResult, RecordedAttempt]] = []
    if database.dialect != "postgresql":
        return done
    if plain := {one.claim.run_id: one for one in endings if is_plain(one)}:
        with database.direct() as direct:
            done = settle_plain(direct, list(plain.values()), worker=worker, monotonic=0.0, now=now)
    if limited := {one.claim.run_id: one for one in endings if is_limited_success(one)}:
        with database.direct() as direct:
            some = settle_limited(direct, list(limited.values()), worker=worker, monotonic=0.0, now=now)
            parked = left_parked(direct, some.left) if some.left else []
        done = done + some.settled
        if parked:
            with database.write() as connection:
                reassign(connection, parked, now=now)
    return done


def _admitted(connection: Connection, found: list[Claim], given: Given) -> AdmittedClaims:
    passed = hold_back(connection, found, now=given["now"])
    return admit(connection, passed.claims, worker=given["worker"], lease=given["lease"], now=given["now"])


def _reassigned(database: Database, admitted: AdmittedClaims, given: Given) -> list[Claim]:
    """The claims; as a worker does, look after the commit whether an attempt has ended meanwhile."""
    if admitted.full and database.dialect == "postgresql":
        with database.write() as connection:
            roomy = with_room(connection, admitted.full, now=given["now"])
            reassign(connection, roomy, now=given["now"])
    return admitted.claims


def _are_plain(kinds: Sequence[str]) -> bool:
    """Whether a claim of these kinds is one statement."""
    return (limited_kinds.keys() | guarded_kinds.keys() | fair_kinds.keys()).isdisjoint(kinds)


def _take_turns(kinds: Sequence[str]) -> bool:
    return not fair_kinds.keys().isdisjoint(kinds)
