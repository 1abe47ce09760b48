"""Marks claims whose row cannot be read, so that they end at once and block no other run."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from sqlalchemy import Uuid, bindparam, update

from jobs.database.models import JobRun
from jobs.database.sql import MOST, Executor
from jobs.formats.unreadable import STAND_INS, UnreadableId, unreadable_in
from jobs.ledger.records import Claim

_NAME = (
    update(JobRun)
    .where(JobRun.token == bindparam("by_token", type_=Uuid()))
    .values(id=bindparam("as_id", type_=Uuid()))
)


def mark_unreadable(claims: list[Claim]) -> None:
    """Note the unreadable values of each of ``claims`` on it."""
    # Nearly always there is none, which one look at all values tells.
    if STAND_INS.isdisjoint(map(type, chain.from_iterable(claims))) and all(one.attempt < MOST for one in claims):
        return
    for place, one in enumerate(claims):
        found = unreadable_in(Claim._fields, one)
        if one.attempt >= MOST:
            found["attempt"] = f"{one.attempt}, and there is no number after it"
        if found:
            claims[place] = one._replace(problem=describe(found))


def rename_unreadable(session: Executor, claims: list[Claim]) -> None:
    """Store a readable id for each claimed run that has none. Only SQLite stores such ids.

    From now on the run has the id under which lists show it, and by which it is found and settled.
    """
    for one in claims:
        if one.problem is not None and isinstance(one.run_id, UnreadableId):
            session.execute(_NAME, {"by_token": one.token, "as_id": one.run_id})


def describe(found: Mapping[str, str]) -> str:
    """The unreadable fields and their values, as one sentence."""
    return f"{', '.join(f'{name} holds {text}' for name, text in found.items())}."
