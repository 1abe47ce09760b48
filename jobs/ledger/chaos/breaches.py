"""Looks for attempts, tokens and effects that break a promise. Every function returns examples, none if all is well.

``since`` is the beginning of the period by the ledger's clock. Use one snapshot for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Integer, String, and_, bindparam, case, cast, exists, func, or_, select

from jobs.database.models import JobAttempt, JobChaosEffect, JobRun, OperatorActionRun, UtcDateTime
from jobs.database.models.table_class import aliased
from jobs.database.sql import Executor
from jobs.states import Outcome, RunState

_SINCE = bindparam("since", type_=UtcDateTime())
_LIMIT = bindparam("most", type_=Integer())
_TOUCHED = and_(JobRun.state.in_(sorted(RunState)), JobRun.state_at >= _SINCE, JobRun.deleted_at.is_(None))
"""Runs whose state changed in the period: each state has an index by this moment, or is small."""


class Breach(NamedTuple):
    """A run that breaks a promise, and how."""

    run_id: UUID
    why: str


class Abandoned(NamedTuple):
    """An attempt whose lease was lost."""

    run_id: UUID
    attempt: int
    worker: str | None
    started_at: datetime
    finished_at: datetime


def counted(session: Executor, *, since: datetime) -> dict[str, int]:
    """How much there was to check: attempts that ended since then, and effects."""
    attempts = session.scalar(select(func.count()).where(JobAttempt.finished_at >= _SINCE), {"since": since})
    effects = session.scalar(select(func.count()).where(JobChaosEffect.commits > 0))
    return {"attempts": attempts or 0, "effects": effects or 0}


def attempts_off_record(session: Executor, *, since: datetime, limit: int) -> list[Breach]:
    """Runs whose number of attempts is not that of their records, and attempts whose run is gone."""
    performing = case((JobRun.state == RunState.RUNNING, 1), else_=0)
    recorded = func.count(JobAttempt.attempt)
    numbers = (
        select(JobRun.id, JobRun.attempt - performing, recorded)
        .outerjoin(JobAttempt, JobAttempt.run_id == JobRun.id)
        .where(_TOUCHED)
        .group_by(JobRun.id, JobRun.attempt, JobRun.state)
        .having(recorded != JobRun.attempt - performing)
        .limit(_LIMIT)
    )
    gone = (
        select(JobAttempt.run_id)
        .where(JobAttempt.finished_at >= _SINCE, ~exists().where(JobRun.id == JobAttempt.run_id))
        .distinct()
        .limit(_LIMIT)
    )
    given = {"since": since, "most": limit}
    found = [
        Breach(run_id, f"{ended} attempts ended, and {there} are on record")
        for run_id, ended, there in session.execute(numbers, given)
    ]
    return found + [Breach(run_id, "the run is gone") for run_id in session.scalars(gone, given)]


def unexplained_attempts(session: Executor, *, since: datetime, limit: int) -> list[Breach]:
    """Attempts after one that ended the run, unless an operator replayed it."""
    before = aliased(JobAttempt)
    replayed = exists().where(OperatorActionRun.run_id == JobAttempt.run_id, OperatorActionRun.skipped.is_(None))
    query = (
        select(JobAttempt.run_id, JobAttempt.attempt, before.outcome)
        .join(before, and_(before.run_id == JobAttempt.run_id, before.attempt == JobAttempt.attempt - 1))
        .where(
            JobAttempt.finished_at >= _SINCE,
            or_(
                before.outcome == Outcome.SUCCEEDED,
                and_(before.outcome.in_((Outcome.GAVE_UP, Outcome.CANCELLED)), ~replayed),
            ),
        )
        .limit(_LIMIT)
    )
    return [
        Breach(run_id, f"attempt {attempt} came after one that ended as {outcome}")
        for run_id, attempt, outcome in session.execute(query, {"since": since, "most": limit})
    ]


def contradictions(session: Executor, *, since: datetime, limit: int) -> list[Breach]:
    """Runs whose state is not that of their attempts."""
    has_success = exists().where(JobAttempt.run_id == JobRun.id, JobAttempt.outcome == Outcome.SUCCEEDED)
    is_success = JobRun.state == RunState.SUCCEEDED
    query = (
        select(JobRun.id, JobRun.state)
        .where(_TOUCHED, JobRun.attempt > 0, or_(and_(is_success, ~has_success), and_(~is_success, has_success)))
        .limit(_LIMIT)
    )
    return [
        Breach(run_id, "it succeeded, but none of its attempts did")
        if state == RunState.SUCCEEDED
        else Breach(run_id, f"an attempt succeeded, but the run is {state}")
        for run_id, state in session.execute(query, {"since": since, "most": limit})
    ]


def repeated_tokens(session: Executor, *, since: datetime, limit: int) -> list[Breach]:
    """Tokens that ended two attempts, or that a run has again."""
    again = aliased(JobAttempt)
    twice = (
        select(JobAttempt.run_id, JobAttempt.attempt, again.attempt)
        .join(again, and_(again.run_id == JobAttempt.run_id, again.attempt < JobAttempt.attempt))
        .where(JobAttempt.finished_at >= _SINCE, again.token == JobAttempt.token)
        .limit(_LIMIT)
    )
    elsewhere = (
        select(func.min(cast(JobAttempt.run_id, String)), func.count(JobAttempt.run_id.distinct()))
        .where(JobAttempt.finished_at >= _SINCE)
        .group_by(JobAttempt.token)
        .having(func.count(JobAttempt.run_id.distinct()) > 1)
        .limit(_LIMIT)
    )
    held = (
        select(JobRun.id, JobAttempt.attempt)
        .join(JobAttempt, and_(JobAttempt.run_id == JobRun.id, JobAttempt.token == JobRun.token))
        .where(JobRun.state == RunState.RUNNING)
        .limit(_LIMIT)
    )
    given = {"since": since, "most": limit}
    found = [
        Breach(run_id, f"one token ended its attempts {first} and {second}")
        for run_id, second, first in session.execute(twice, given)
    ]
    found += [
        Breach(UUID(run_id), f"its token ended attempts of {count} runs")
        for run_id, count in session.execute(elsewhere, given)
    ]
    return found + [
        Breach(run_id, f"it runs with the token that ended attempt {attempt}")
        for run_id, attempt in session.execute(held, given)
    ]


def wrong_effects(session: Executor, *, limit: int) -> list[Breach]:
    """Runs whose ``transaction()`` took effect twice, or without their success, or not although they succeeded."""
    commits = func.sum(JobChaosEffect.commits)
    twice = select(JobChaosEffect.run_id, commits).group_by(JobChaosEffect.run_id).having(commits > 1).limit(_LIMIT)
    of_effect = and_(JobAttempt.run_id == JobChaosEffect.run_id, JobAttempt.token == JobChaosEffect.token)
    succeeded = exists().where(of_effect, JobAttempt.outcome == Outcome.SUCCEEDED)
    there = exists().where(JobRun.id == JobChaosEffect.run_id)
    given = {"most": limit}
    found = [
        Breach(run_id, f"its transaction() took effect {count} times")
        for run_id, count in session.execute(twice, given)
    ]
    stray = select(JobChaosEffect.run_id).where(JobChaosEffect.commits > 0, ~succeeded, there).limit(_LIMIT)
    lost = select(JobChaosEffect.run_id).where(JobChaosEffect.commits == 0, succeeded).limit(_LIMIT)
    for query, why in (
        (stray, "its transaction() took effect in an attempt that did not succeed"),
        (lost, "it succeeded, but its transaction() took no effect"),
    ):
        found += [Breach(run_id, why) for run_id in session.scalars(query, given)]
    return found


def abandoned_attempts(session: Executor, *, since: datetime, limit: int = 10_000) -> Sequence[Abandoned]:
    """Attempts of the period whose lease was lost, without those that began before it."""
    columns = (
        JobAttempt.run_id, JobAttempt.attempt, JobAttempt.worker, JobAttempt.started_at, JobAttempt.finished_at,
    )  # fmt: skip
    query = select(*columns).where(
        JobAttempt.finished_at >= _SINCE, JobAttempt.started_at >= _SINCE, JobAttempt.outcome == Outcome.ABANDONED
    )
    return [Abandoned(*row) for row in session.execute(query.limit(_LIMIT), {"since": since, "most": limit})]
