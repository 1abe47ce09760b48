"""Rows with sealed values, page by page, and the change of one of them if it is still as it was read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Text, cast, literal, or_, select, update

from jobs.database.models import JobFollowup, JobRun, JobStep, JsonText
from jobs.database.sql import Executor

_MARK = '%"$sealed"%'


class SealedText(NamedTuple):
    """One stored text with sealed values: ``what`` is arguments, result, step or follow_up."""

    what: str
    run_id: UUID
    name: str
    text: str


def page_of_runs(session: Executor, after: UUID | None, *, limit: int) -> list[UUID]:
    """The next ids of runs, by id."""
    query = select(JobRun.id) if after is None else select(JobRun.id).where(JobRun.id > after)
    return list(session.scalars(query.order_by(JobRun.id).limit(limit)))


def sealed_texts(session: Executor, run_ids: Sequence[UUID]) -> list[SealedText]:
    """The texts with sealed values of these runs, and of their steps and follow-ups."""
    ids = list(run_ids)
    arguments, result = cast(JobRun.arguments, Text), cast(JobRun.result, Text)
    found: list[SealedText] = []
    rows = select(JobRun.id, arguments, result).where(
        JobRun.id.in_(ids), or_(arguments.like(_MARK), result.like(_MARK))
    )
    for run_id, given, returned in session.execute(rows):
        found.append(SealedText("arguments", run_id, "", given))
        if returned is not None:
            found.append(SealedText("result", run_id, "", returned))
    kept = cast(JobStep.result, Text)
    steps = select(JobStep.run_id, JobStep.name, kept).where(JobStep.run_id.in_(ids), kept.like(_MARK))
    found += [SealedText("step", *row) for row in session.execute(steps)]
    return found


def followup_texts(session: Executor, after: UUID | None, *, limit: int) -> list[tuple[UUID, Any]]:
    """The next follow-ups that are not enqueued yet, by id, with the run that each holds."""
    query = select(JobFollowup.id, JobFollowup.run).where(JobFollowup.enqueued_at.is_(None))
    if after is not None:
        query = query.where(JobFollowup.id > after)
    return [(row[0], row[1]) for row in session.execute(query.order_by(JobFollowup.id).limit(limit))]


def put_text(session: Executor, old: SealedText, text: str) -> bool:
    """Put ``text`` in place of ``old``. False if that has changed meanwhile."""
    table: Any = JobStep if old.what == "step" else JobRun
    column = JobRun.arguments if old.what == "arguments" else table.result
    which: list[ColumnElement[bool]] = [cast(column, Text) == old.text]
    which += [JobStep.run_id == old.run_id, JobStep.name == old.name] if table is JobStep else [JobRun.id == old.run_id]
    return _moved(session, table, which, {column.key: text})


def put_followup(session: Executor, followup_id: UUID, text: str) -> bool:
    """Put another run into a follow-up that is not enqueued yet. False if it is."""
    which = [JobFollowup.id == followup_id, JobFollowup.enqueued_at.is_(None)]
    return _moved(session, JobFollowup, which, {"run": text})


def _moved(session: Executor, table: Any, which: list[ColumnElement[bool]], values: dict[str, str]) -> bool:
    given = {name: cast(literal(text, Text()), JsonText) for name, text in values.items()}
    changed = update(table).where(*which).values(**given).returning(literal(1))
    return session.scalar(changed) is not None
