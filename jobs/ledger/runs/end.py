"""Ends attempts: the only way out of the state running. Many in one transaction, each with its own outcome.

The token alone decides whether we may record a result. ``state = 'running'`` is left out of the predicate on purpose:
with it the planner takes the small partial index on leases, and its cost grows quadratically.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Float, Integer, Text, Update, Uuid, case, cast, update

from jobs.database.models import JobAttempt, JobRun, JsonText
from jobs.database.sql import Executor, RowBatch, counted, dialect_of, ledger_now, plus_seconds
from jobs.definition.enqueue_options import MAX_WAIT
from jobs.ledger.records import Failure, Freed, RecordedAttempt
from jobs.ledger.runs.attempts import record
from jobs.ledger.runs.end_effects import apply_end_effects
from jobs.ledger.runs.exits import where_to
from jobs.states import CHARGED, CRASHES, FINAL, Cause, Outcome, RunState

_ENDED = RowBatch(
    "ended",
    id=Uuid(),
    token=Uuid(),
    outcome=Text(),
    is_charged=Integer(),
    is_crash=Integer(),
    is_loss=Integer(),
    delay_seconds=Float(),
    cause=Text(),
    result=Text(),
    error_type=Text(),
    error_message=Text(),
    fingerprint=Text(),
    ago_seconds=Float(),
    elapsed_seconds=Float(),
)
_STATES = {state.value: state for state in RunState}
_REFUSED = RowBatch("refused", run_id=Uuid(), token=Uuid(), outcome=Text())


class AttemptEnd(NamedTuple):
    """The end of an attempt, whichever process ends it.

    ``delay_seconds`` is the wait before the next attempt; ``cause``, if given, says why there is none. ``ago_seconds``
    is how long ago it ended, ``elapsed_seconds`` how long it took. ``awaits`` is the batch of the children that it
    waits for.
    """

    run_id: UUID
    token: UUID
    attempt: int
    outcome: Outcome
    worker: str | None
    ago_seconds: float = 0.0
    elapsed_seconds: float = 0.0
    delay_seconds: float = 0.0
    cause: Cause | None = None
    result: str | None = None
    failure: Failure | None = None
    awaits: UUID | None = None


def end(
    session: Executor, ends: Sequence[AttemptEnd], *, poison_after: int, now: datetime | None = None
) -> tuple[list[RecordedAttempt], list[AttemptEnd]]:
    """End the attempts of ``ends``; returns those that ended, and those refused because the lease is lost.

    The statement itself decides the next state of each run, by ``exits``.
    """
    if not ends:
        return [], []
    if len({one.run_id.int for one in ends}) < len(ends):
        once = {one.run_id: one for one in ends}
        # A run may have been claimed again while its lost attempt still reported its end: one attempt of a run per
        # statement.
        batches = [*once.values()], [one for one in ends if once[one.run_id] is not one]
        parts = [end(session, batch, poison_after=poison_after, now=now) for batch in batches]
        return parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]
    dialect = dialect_of(session)
    # In the order of ids, so that two processes that end the same runs cannot deadlock.
    ordered = sorted(ends, key=lambda one: one.run_id.int)
    values = {
        **_ENDED.rows(dialect, [_row(one) for one in ordered]),
        "poison_after": poison_after,
        "now": now,
    }
    # By number: an id hashes in Python. row[10]: it has follow-ups.
    moved = {row[0].int: row for row in session.execute(_end(dialect), values).all()}
    followed = apply_end_effects(
        session,
        [row[0] for row in moved.values() if row[10] and row[3] in FINAL],
        lock=[one.awaits for one in ordered if one.awaits is not None],
        now=now,
    )
    ended, refused, tried = [], [], []
    for one in ordered:
        row = moved.get(one.run_id.int)
        if row is None:
            refused.append(one)
            continue
        settled = _settled(row, one.outcome, followed.get(one.run_id, ()) if followed else ())
        tried.append(_attempt(one, settled))
        ended.append(settled)
    if tried:
        renumbered = record(session, tried, now=now)
        if renumbered:
            ended = [one._replace(attempt=renumbered.get(one.run_id, one.attempt)) for one in ended]
    if refused:
        notes = [(one.run_id, one.token, one.outcome.value) for one in refused]
        session.execute(_refuse(dialect), {**_REFUSED.rows(dialect, notes), "now": now})
    return ended, refused


def _settled(row: Sequence[Any], outcome: Outcome, followed_by: Sequence[Freed]) -> RecordedAttempt:
    # By position, in the order of _end's returning: a name costs a look-up, and this happens for every run.
    run_id, kind, attempt, state, cause, started_at, state_at, run_at, queue, priority, _ = tuple(row)
    state = _STATES[state]
    if state is RunState.CANCELLED and outcome is Outcome.SUCCEEDED:
        outcome = Outcome.CANCELLED
    return RecordedAttempt(
        run_id,
        kind,
        queue,
        priority,
        state,
        Cause(cause) if cause else None,
        outcome,
        attempt,
        started_at,
        state_at,
        run_at if state is RunState.QUEUED else None,
        tuple(followed_by),
    )


def _row(one: AttemptEnd) -> tuple[Any, ...]:
    failure = one.failure
    if one.outcome is Outcome.SUCCEEDED and failure is None and one.cause is None:
        # Most are: the general way checks three sets.
        return (
            *(one.run_id, one.token, "succeeded", 0, 0, 0, one.delay_seconds, None, one.result),
            *(None, None, None, one.ago_seconds, one.elapsed_seconds),
        )
    return (
        one.run_id,
        one.token,
        one.outcome.value,
        int(one.outcome in CHARGED),
        int(one.outcome in CRASHES),
        int(one.outcome is Outcome.ABANDONED),
        _delay_seconds(one),
        one.cause.value if one.cause else None,
        one.result,
        failure.type if failure else None,
        failure.message if failure else None,
        failure.fingerprint if failure else None,
        one.ago_seconds,
        one.elapsed_seconds,
    )


def _attempt(one: AttemptEnd, settled: RecordedAttempt) -> tuple[Any, ...]:
    failure = one.failure
    return (
        one.run_id,
        one.attempt,
        one.token,
        settled.outcome.value,
        one.worker,
        failure.type if failure else None,
        failure.message if failure else None,
        failure.traceback if failure else None,
        failure.fingerprint if failure else None,
        one.ago_seconds,
        one.elapsed_seconds,
        _delay_seconds(one) if settled.state is RunState.QUEUED and one.outcome is not Outcome.SUSPENDED else None,
    )


def _delay_seconds(one: AttemptEnd) -> float:
    """A job may ask for any wait (``timedelta.max``), but moments end with the year 9999."""
    return min(one.delay_seconds, MAX_WAIT.total_seconds())


@cache
def _end(dialect: str) -> Update:
    ended = _ENDED.table(dialect).c
    state, cause = where_to(ended)
    is_queued = state == RunState.QUEUED.value
    has_failed = ended.error_type.is_not(None)
    return (
        update(JobRun)
        .where(JobRun.id == ended.id, JobRun.token == ended.token, _ENDED.among(dialect, JobRun.id, "id"))
        .values(
            state=state,
            cause=cause,
            token=None,
            lease_until=None,
            charged=counted(JobRun.charged, ended.is_charged),
            crashes=counted(JobRun.crashes, ended.is_crash),
            abandonments=counted(JobRun.abandonments, ended.is_loss),
            run_at=case((is_queued, plus_seconds(ledger_now(), ended.delay_seconds)),
                        else_=JobRun.run_at),
            started_at=plus_seconds(ledger_now(), -(ended.ago_seconds + ended.elapsed_seconds)),
            finished_at=case((is_queued, None), else_=ledger_now()),
            state_at=ledger_now(),
            result=case((state == RunState.SUCCEEDED.value, cast(ended.result, JsonText)), else_=JobRun.result),
            error_type=case((has_failed, ended.error_type), else_=JobRun.error_type),
            error_message=case((has_failed, ended.error_message), else_=JobRun.error_message),
            fingerprint=case((has_failed, ended.fingerprint), else_=JobRun.fingerprint),
        )
        .returning(
            JobRun.id, JobRun.kind, JobRun.attempt, JobRun.state, JobRun.cause, JobRun.started_at, JobRun.state_at,
            # If the run waits again, we wrote this moment; otherwise it is not needed, and may be unreadable.
            case((JobRun.state == RunState.QUEUED.value, JobRun.run_at), else_=None).label("run_at"),
            JobRun.queue, JobRun.priority, JobRun.has_followups,
        )
    )  # fmt: skip


@cache
def _refuse(dialect: str) -> Update:
    """Note a refused result on the row of its attempt, if the process that ended the attempt wrote one."""
    refused = _REFUSED.table(dialect).c
    return (
        update(JobAttempt)
        .where(
            JobAttempt.run_id == refused.run_id,
            JobAttempt.token == refused.token,
            JobAttempt.refused_at.is_(None),
        )
        .values(refused_at=ledger_now(), refused_outcome=refused.outcome)
    )
