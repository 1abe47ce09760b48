"""Set aside: a row that cannot be read keeps no other from its turn.

Claims of such rows are marked, and end at once; schedules are noted as broken, and make no runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from sqlalchemy import Uuid, bindparam, update

from jobs.ledger.records import Claim
from jobs.ledger.schedules import ScheduleRecord
from jobs.models import JobRun, JobSchedule
from jobs.sql import MOST, Executor
from jobs.unreadable import UnreadableId, unreadable_in

_NAME = (
    update(JobRun)
    .where(JobRun.token == bindparam("by_token", type_=Uuid()))
    .values(id=bindparam("as_id", type_=Uuid()))
    .execution_options(synchronize_session=False)
)


def look_through(session: Executor, claims: list[Claim]) -> None:
    """Note on each of ``claims`` what of its row cannot be read."""
    for place, one in enumerate(claims):
        found = unreadable_in(Claim._fields, one)
        if one.attempt >= MOST:
            found["attempt"] = f"{one.attempt}, and there is no number after it"
        if found:
            if isinstance(one.run_id, UnreadableId):
                # From now on it has an id that it is found and settled by: the one that lists have shown it with.
                session.execute(_NAME, {"by_token": one.token, "as_id": one.run_id})
            claims[place] = one._replace(problem=_said(found))


def problem_of(record: ScheduleRecord) -> str | None:
    """What of a schedule's row cannot be read, in a sentence; None where all of it can."""
    names = tuple(one.name for one in fields(record))
    found = unreadable_in(names, tuple(getattr(record, name) for name in names))
    return f"Its row cannot be read: {_said(found)}"[:500] if found else None


def set_aside_schedules(session: Executor, problems: Mapping[str, str | None]) -> None:
    """Note what of these schedules cannot be read: until they are written anew no slot of theirs is looked at.

    What else their rows hold stays as it is.
    """
    for name, problem in problems.items():
        session.execute(
            update(JobSchedule)
            .where(JobSchedule.name == name)
            .values(next_slot_at=None, held_slot_at=None, problem=problem)
            .execution_options(synchronize_session=False)
        )


def _said(found: Mapping[str, str]) -> str:
    return f"{', '.join(f'{name} holds {text}' for name, text in found.items())}."
