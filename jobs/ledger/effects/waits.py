"""Waits: steps at which a run leaves ``perform``, and the hold that keeps its row until the wait is over.

A wait is a row of ``job_steps`` whose ``started_at`` is when the run first came to it: later attempts count from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Integer,
    Select,
    String,
    Text,
    Update,
    Uuid,
    bindparam,
    cast,
    select,
    update,
)

from jobs.database.models import JobBatch, JobRun, JobSignal, JobStep, JsonText, UtcDateTime
from jobs.database.sql import Executor, RowBatch, dialect_of, insert_into, ledger_now
from jobs.errors import StepRefused
from jobs.ledger.effects.steps import holder, lease_lost
from jobs.ledger.holds import NOT_HELD, held_now
from jobs.ledger.records import AttemptResult, Freed, RecordedAttempt
from jobs.states import FAR, Hold, Outcome, RunState

WAIT, SLEEP, GATHER = "wait", "sleep", "gather"
SIGNAL_PREFIX, SLEEP_PREFIX = "signal:", "sleep:"
"""How ``held_on`` names what a run waits for."""

_HELD = RowBatch("suspended", id=Uuid(), held_on=String(), signal=String(), until=UtcDateTime(), awaits=Uuid())
_FREED = RowBatch("wanted", id=Uuid(), held_on=String())
_RUN, _TOKEN = bindparam("of_run", type_=Uuid()), bindparam("by_token", type_=Uuid())
_NAME = bindparam("called", type_=String())


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait of a run, as read; ``now`` is the ledger's moment. ``signal`` is the payload, in a tuple of one."""

    started_at: datetime
    now: datetime
    is_over: bool
    result: Any
    signal: tuple[Any] | None


@dataclass(frozen=True, slots=True)
class Suspension:
    """A run whose attempt left ``perform`` to wait; ``until`` is when time alone makes it ready; None: never."""

    run_id: UUID
    held_on: str
    until: datetime | None
    awaits: UUID | None = None
    """The batch of the children that it waits for."""


def begin_wait(
    session: Executor,
    run_id: UUID,
    token: UUID,
    name: str,
    *,
    form: str,
    attempt: int,
    result: str | None = None,
    now: datetime | None = None,
) -> Wait:
    """Write the step of a wait, unless an earlier attempt has, and read it. ``result`` is JSON text to begin with.

    Raises:
        LeaseLost: another attempt has the run.
        StepRefused: an earlier attempt used the name for a step of another form.
    """
    values = {"of_run": run_id, "by_token": token, "called": name, "now": now}
    new = {"form": form, "attempt": attempt, "gave": result}
    session.execute(_begin(dialect_of(session)), values | new)
    row = session.execute(_look(), values).one_or_none()
    if row is None:
        raise lease_lost(run_id)
    if row.form != form:
        raise StepRefused(
            f"Step {name!r} of run {run_id} is of the form {row.form!r}, and cannot be a {form!r} as well.",
            hint="Give the new step another name.",
        )
    signal = None if row.sent_at is None else (row.payload,)
    return Wait(row.started_at, row.moment, row.finished_at is not None, row.result, signal)


def end_wait(
    session: Executor, run_id: UUID, token: UUID, name: str, *, result: str, now: datetime | None = None
) -> None:
    """Record that a wait is over, and how: JSON text.

    Raises:
        LeaseLost: another attempt has the run.
    """
    values = {"of_run": run_id, "by_token": token, "called": name, "gave": result, "now": now}
    if session.scalar(_end(), values) is None:
        raise lease_lost(run_id)


def hold_suspended(
    session: Executor, waits: Sequence[Suspension], *, now: datetime | None = None
) -> dict[UUID, datetime | None]:
    """Hold runs whose attempts have just ended as suspended, in the transaction that ended them.

    Those whose signal has come, or whose children have ended meanwhile, stay ready. This transaction has locked their
    rows and the batches of their children, and a signal locks the row of its run before it is written: none is missed.
    Returns the runs that are held, with the moment at which time alone makes them ready.
    """
    if not waits:
        return {}
    dialect = dialect_of(session)
    rows = [(one.run_id, one.held_on, _signal_of(one.held_on), one.until, one.awaits) for one in waits]
    held = session.execute(_hold(dialect), {**_HELD.rows(dialect, rows), "now": now}).all()
    return {row.id: None if row.run_at == FAR else row.run_at for row in held}


def hold_waiting(
    session: Executor, settled: Sequence[tuple[AttemptResult, RecordedAttempt]], *, now: datetime | None = None
) -> list[tuple[AttemptResult, RecordedAttempt]]:
    """Hold the suspended ones among ``settled`` that still have something to wait for; returns all, with that fact."""
    waits = [
        Suspension(one.run_id, result.held_on, result.held_until, result.awaits)
        for result, one in settled
        if one.outcome is Outcome.SUSPENDED and one.state is RunState.QUEUED and result.held_on is not None
    ]
    held = hold_suspended(session, waits, now=now)
    return [
        (result, one._replace(is_held=True, retry_at=held[one.run_id]) if one.run_id in held else one)
        for result, one in settled
    ]


def free_waiting(session: Executor, waits: Sequence[tuple[UUID, str]], *, now: datetime | None = None) -> list[Freed]:
    """Make runs ready now that are held on these things. Returns those that were; publish them after the commit."""
    if not waits:
        return []
    dialect = dialect_of(session)
    rows = _FREED.rows(dialect, sorted(waits))
    return [Freed(*row) for row in session.execute(_free(dialect), {**rows, "now": now})]


def _signal_of(held_on: str) -> str | None:
    return held_on.removeprefix(SIGNAL_PREFIX) if held_on.startswith(SIGNAL_PREFIX) else None


@cache
def _begin(dialect: str) -> Any:
    columns = {
        "run_id": JobRun.id,
        "name": _NAME,
        "form": bindparam("form", type_=String()),
        "token": _TOKEN,
        "attempt": bindparam("attempt", type_=Integer()),
        "started_at": ledger_now(),
        "result": cast(bindparam("gave", type_=Text()), JsonText),
    }
    ours = (
        select(*columns.values()).where(JobRun.id == _RUN, JobRun.token == _TOKEN).with_for_update(read=True, of=JobRun)
    )
    return (
        insert_into(dialect, JobStep).from_select(list(columns), ours, include_defaults=False).on_conflict_do_nothing()
    )


@cache
def _look() -> Select[*tuple[Any, ...]]:
    return (
        select(
            JobStep.form,
            JobStep.started_at,
            JobStep.finished_at,
            JobStep.result,
            JobSignal.payload,
            JobSignal.sent_at,
            ledger_now().label("moment"),
        )
        .join(JobRun, JobRun.id == JobStep.run_id)
        .outerjoin(JobSignal, (JobSignal.run_id == JobStep.run_id) & (JobSignal.name == JobStep.name))
        .where(JobStep.run_id == _RUN, JobStep.name == _NAME, JobRun.token == _TOKEN)
    )


@cache
def _end() -> Update:
    return (
        update(JobStep)
        .where(JobStep.run_id.in_(holder()), JobStep.name == _NAME)
        .values(result=cast(bindparam("gave", type_=Text()), JsonText), finished_at=ledger_now())
        .returning(JobStep.name)
    )


@cache
def _hold(dialect: str) -> Update:
    table = _HELD.table(dialect)
    held = table.c
    has_come = (
        select(JobSignal.name)
        .where(JobSignal.run_id == JobRun.id, JobSignal.name == held.signal)
        .correlate(JobRun, table)
        .exists()
    )
    have_ended = (
        select(JobBatch.id).where(JobBatch.id == held.awaits, JobBatch.ended_at.is_not(None)).correlate(table).exists()
    )
    return (
        update(JobRun)
        .where(
            JobRun.id == held.id,
            _HELD.among(dialect, JobRun.id, "id"),
            JobRun.state == RunState.QUEUED.value,
            ~has_come,
            ~have_ended,
        )
        .values(held_now(Hold.WAITING, held.held_on, due_at=None, until=held.until))
        .returning(JobRun.id, JobRun.run_at)
    )


@cache
def _free(dialect: str) -> Update:
    wanted = _FREED.table(dialect).c
    return (
        update(JobRun)
        .where(
            JobRun.id == wanted.id,
            _FREED.among(dialect, JobRun.id, "id"),
            JobRun.state == RunState.QUEUED.value,
            JobRun.hold == Hold.WAITING.value,
            JobRun.held_on == wanted.held_on,
        )
        # From now on: the time that it waited is no delay of its queue.
        .values(**NOT_HELD, run_at=ledger_now())
        .returning(JobRun.id, JobRun.queue, JobRun.priority, JobRun.run_at)
    )
