"""Signals to runs: the first one with a name is kept, and frees its run if the run waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, String, Text, Uuid, bindparam, cast, delete, func, select

from jobs.database.models import JobRun, JobSignal, JsonText
from jobs.database.sql import Executor, dialect_of, insert_into, ledger_now
from jobs.errors import SignalRefused
from jobs.ledger.effects.waits import SIGNAL_PREFIX, free_waiting
from jobs.ledger.records import Freed
from jobs.states import FINAL, LIVE

MAX_SIGNALS = 1000
"""Names of signals that one run may have. Source: decision; they are read with the run."""


@dataclass(frozen=True, slots=True)
class SignalSent:
    """A recorded signal; ``is_new`` is False if the run had one of this name. ``freed`` is the run, if it waited."""

    run_id: UUID
    is_new: bool
    freed: list[Freed]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRecord:
    """A signal of a run, as read."""

    run_id: UUID
    name: str
    payload: Any
    sent_at: datetime
    sent_by: str | None


def send_signal(
    session: Executor, run_id: UUID, name: str, payload: str, *, sent_by: str | None, now: datetime | None = None
) -> SignalSent | None:
    """Record a signal; ``payload`` is JSON text. None if there is no such run.

    Locks the run's row until the transaction ends, so that an attempt that ends meanwhile sees the signal.

    Raises:
        SignalRefused: the run has ended, or has too many signals.
    """
    run = session.execute(_run(), {"of_run": run_id}).one_or_none()
    if run is None:
        return None
    if run.state in FINAL:
        raise ended(run_id, run.state)
    if (session.scalar(_count(), {"of_run": run_id}) or 0) >= MAX_SIGNALS:
        raise SignalRefused(f"Run {run_id} has {MAX_SIGNALS:,} signals already.", hint="Put the data into one payload.")
    values = {"of_run": run_id, "called": name, "gave": payload, "sender": sent_by, "now": now}
    is_new = session.scalar(_send(dialect_of(session)), values) is not None
    freed = free_waiting(session, [(run_id, SIGNAL_PREFIX + name)], now=now) if is_new else []
    return SignalSent(run_id, is_new, freed)


def ended(run_id: UUID, state: str) -> SignalRefused:
    """The error for a signal to a run that has ended."""
    return SignalRefused(
        f"Run {run_id} has ended ({state}), so it takes no signal.",
        hint="Signal a run while it lives; replay this one first if it should go on.",
    )


def live_run_of_key(session: Executor, kinds: Sequence[str], key: str) -> UUID | None:
    """The live run of one of these kinds that holds ``key``."""
    return session.scalar(
        select(JobRun.id).where(JobRun.kind.in_(list(kinds)), JobRun.key == key, JobRun.state.in_(sorted(LIVE)))
    )


def list_signals(session: Executor, run_id: UUID, *, after: str | None = None, limit: int = 100) -> list[SignalRecord]:
    """The signals of a run, by name; ``after`` is the last name of the previous page."""
    query = select(JobSignal.run_id, JobSignal.name, JobSignal.payload, JobSignal.sent_at, JobSignal.sent_by).where(
        JobSignal.run_id == run_id
    )
    if after is not None:
        query = query.where(JobSignal.name > after)
    return [SignalRecord(**row._mapping) for row in session.execute(query.order_by(JobSignal.name).limit(limit))]


def forget_signals(session: Executor, run_ids: Sequence[UUID]) -> None:
    """Delete the signals of runs that are deleted, erased, or begin anew."""
    session.execute(delete(JobSignal).where(JobSignal.run_id.in_(list(run_ids))))


@cache
def _run() -> Select[*tuple[Any, ...]]:
    of_run = bindparam("of_run", type_=Uuid())
    return select(JobRun.state).where(JobRun.id == of_run).with_for_update()


@cache
def _count() -> Select[int]:
    return select(func.count()).select_from(JobSignal).where(JobSignal.run_id == bindparam("of_run", type_=Uuid()))


@cache
def _send(dialect: str) -> Any:
    return (
        insert_into(dialect, JobSignal)
        .values(
            run_id=bindparam("of_run", type_=Uuid()),
            name=bindparam("called", type_=String()),
            payload=cast(bindparam("gave", type_=Text()), JsonText),
            sent_at=ledger_now(),
            sent_by=bindparam("sender", type_=String()),
        )
        .on_conflict_do_nothing()
        .returning(JobSignal.name)
    )
