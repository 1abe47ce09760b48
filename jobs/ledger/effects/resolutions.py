"""Effects that were found unknown, as an operator resolves them; the caller has locked their runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, and_, cast, delete, insert, literal, or_, select, update
from sqlalchemy.sql import ColumnElement

from jobs.database.models import JobStep, JsonText, aliased
from jobs.database.sql import Executor, ledger_now
from jobs.ledger.effects.steps import EFFECT, StepRecord

_RECORD = tuple(getattr(JobStep, name) for name in StepRecord.__dataclass_fields__)
_INTENT = ("name", "form", "token", "attempt", "started_at")


def find_step(session: Executor, run_id: UUID, name: str) -> StepRecord | None:
    """The step of a run, locked until the transaction ends."""
    query = select(*_RECORD).where(JobStep.run_id == run_id, JobStep.name == name).with_for_update()
    row = session.execute(query).one_or_none()
    return StepRecord(**row._mapping) if row is not None else None


def intent_of(session: Executor, run_id: UUID, name: str) -> dict[str, str | int]:
    """The intent of an effect as plain values, for the audit: ``restore_intent`` writes it again."""
    row = session.execute(
        select(*(getattr(JobStep, one) for one in _INTENT)).where(JobStep.run_id == run_id, JobStep.name == name)
    ).one()
    values = dict(zip(_INTENT, row, strict=True))
    return {**values, "token": values["token"].hex, "started_at": values["started_at"].isoformat()}


def unknown_effects(session: Executor, run_ids: Sequence[UUID], *, before: str | None = None) -> list[StepRecord]:
    """The effects of these runs that began and have no end, in the order in which they began.

    With ``before``: those that began before the step of this name.
    """
    query = select(*_RECORD).where(
        JobStep.run_id.in_(list(run_ids)), JobStep.form == EFFECT, JobStep.finished_at.is_(None)
    )
    if before is not None:
        query = query.where(_began_before(before))
    rows = session.execute(query.order_by(JobStep.run_id, JobStep.started_at, JobStep.name))
    return [StepRecord(**row._mapping) for row in rows]


def list_effects(session: Executor, run_ids: Sequence[UUID], *, limit: int) -> list[StepRecord]:
    """The effects of these runs, ended or not, in the order in which they began."""
    rows = session.execute(
        select(*_RECORD)
        .where(JobStep.run_id.in_(list(run_ids)), JobStep.form == EFFECT)
        .order_by(JobStep.run_id, JobStep.started_at, JobStep.name)
        .limit(limit)
    )
    return [StepRecord(**row._mapping) for row in rows]


def record_end(session: Executor, run_id: UUID, name: str, *, result: str, now: datetime | None = None) -> bool:
    """Record that an unknown effect took place, with its result as JSON text. False: it is not unknown any more."""
    moved = session.execute(
        update(JobStep)
        .where(*_unknown(run_id, name))
        .values(finished_at=ledger_now(), result=cast(literal(result, Text()), JsonText))
        .returning(JobStep.name),
        {"now": now},
    )
    return moved.one_or_none() is not None


def remove_intent(session: Executor, run_id: UUID, name: str) -> bool:
    """Record that an unknown effect did not take place. False: it is not unknown any more."""
    gone = session.execute(
        delete(JobStep).where(*_unknown(run_id, name)).returning(JobStep.name)
    )  # fmt: skip
    return gone.one_or_none() is not None


def restore_intent(session: Executor, run_id: UUID, intent: Mapping[str, Any]) -> None:
    """Make the effect unknown again: undo ``record_end`` or ``remove_intent``."""
    session.execute(
        delete(JobStep).where(JobStep.run_id == run_id, JobStep.name == intent["name"])
    )  # fmt: skip
    values = {**intent, "token": UUID(intent["token"]), "started_at": datetime.fromisoformat(intent["started_at"])}
    session.execute(insert(JobStep).values(run_id=run_id, **values))


def runs_with_step(session: Executor, run_ids: Sequence[UUID], name: str) -> set[UUID]:
    """Those of these runs that have a step or cursor of this name."""
    return set(session.scalars(select(JobStep.run_id).where(JobStep.run_id.in_(list(run_ids)), JobStep.name == name)))


def forget_steps_from(session: Executor, run_ids: Sequence[UUID], name: str) -> None:
    """Delete the step ``name`` of these runs, and the steps and cursors that began after it."""
    session.execute(delete(JobStep).where(JobStep.run_id.in_(list(run_ids)), ~_began_before(name)))


def copy_steps_before(session: Executor, old: UUID, new: UUID, name: str) -> None:
    """Give the new run the ended effects and the cursors of the old one that began before the step ``name``."""
    columns = [getattr(JobStep, one) for one in ("name", "form", "token", "attempt", "started_at", "finished_at")]
    kept = select(literal(new, JobStep.run_id.type), *columns, JobStep.result).where(
        JobStep.run_id == old, _began_before(name), or_(JobStep.form != EFFECT, JobStep.finished_at.is_not(None))
    )
    names = ["run_id", *(column.key for column in columns), "result"]
    session.execute(insert(JobStep).from_select(names, kept, include_defaults=False))


def _unknown(run_id: UUID, name: str) -> list[ColumnElement[bool]]:
    return [
        JobStep.run_id == run_id,
        JobStep.name == name,
        JobStep.form == EFFECT,
        JobStep.finished_at.is_(None),
    ]


def _began_before(name: str) -> ColumnElement[bool]:
    """Whether a step began before the step ``name`` of its run, in the order of ``list_steps``."""
    mark = aliased(JobStep)
    is_earlier = or_(
        JobStep.started_at < mark.started_at,
        and_(JobStep.started_at == mark.started_at, JobStep.name < mark.name),
    )
    return select(mark.name).where(mark.run_id == JobStep.run_id, mark.name == name, is_earlier).exists()
