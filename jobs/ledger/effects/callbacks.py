"""Callback URLs: tokens by which an outside system sends one signal to one run, once, until they expire."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Float, Integer, Select, String, Uuid, bindparam, delete, func, select, update

from jobs.database.models import JobCallback, JobRun
from jobs.database.sql import Executor, dialect_of, insert_into, ledger_now, plus_seconds
from jobs.errors import SignalRefused
from jobs.ledger.effects.steps import lease_lost

MAX_CALLBACKS = 1000
"""Callback URLs of one run. Source: decision; each attempt that asks for one makes one."""


@dataclass(frozen=True, slots=True)
class Callback:
    """What a callback URL stands for; ``is_open`` is False if it was used or has expired."""

    run_id: UUID
    name: str
    used_at: datetime | None
    expires_at: datetime
    is_open: bool


def hash_of(token: str) -> str:
    """What the ledger stores of a token: a random one of 256 bits needs no salt."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def add_callback(
    session: Executor,
    run_id: UUID,
    by_token: UUID,
    name: str,
    *,
    secret: str,
    within: timedelta,
    now: datetime | None = None,
) -> None:
    """Record a callback URL for a signal of the run that ``by_token`` holds.

    Raises:
        LeaseLost: another attempt has the run.
        SignalRefused: the run has too many.
    """
    counted = select(func.count()).select_from(JobCallback).where(JobCallback.run_id == run_id)
    if (session.scalar(counted) or 0) >= MAX_CALLBACKS:
        raise SignalRefused(
            f"Run {run_id} has {MAX_CALLBACKS:,} callback URLs already.",
            hint="Ask for one inside self.run.once(…), so that later attempts use the same one.",
        )
    values = {"of_run": run_id, "by_token": by_token, "called": name, "hash": hash_of(secret)}
    seconds = {"within_seconds": within.total_seconds(), "now": now}
    if session.scalar(_add(dialect_of(session)), values | seconds) is None:
        raise lease_lost(run_id)


def find_callback(session: Executor, secret: str, *, now: datetime | None = None) -> Callback | None:
    """The callback of a token, locked until the transaction ends; None if there is none."""
    row = session.execute(_find(), {"hash": hash_of(secret), "now": now}).one_or_none()
    if row is None:
        return None
    return Callback(row.run_id, row.name, row.used_at, row.expires_at, row.used_at is None and bool(row.is_early))


def use_callback(session: Executor, secret: str, *, now: datetime | None = None) -> None:
    """Mark a callback as used."""
    session.execute(
        update(JobCallback).where(JobCallback.token_hash == hash_of(secret)).values(used_at=ledger_now()),
        {"now": now},
    )


def forget_callbacks(session: Executor, run_ids: Sequence[UUID]) -> None:
    """Delete the callback URLs of runs that are deleted or erased."""
    session.execute(delete(JobCallback).where(JobCallback.run_id.in_(list(run_ids))))


@cache
def _add(dialect: str) -> Any:
    columns = {
        "token_hash": bindparam("hash", type_=String()),
        "run_id": JobRun.id,
        "name": bindparam("called", type_=String()),
        "created_at": ledger_now(),
        "expires_at": plus_seconds(ledger_now(), bindparam("within_seconds", type_=Float())),
    }
    ours = select(*columns.values()).where(
        JobRun.id == bindparam("of_run", type_=Uuid()), JobRun.token == bindparam("by_token", type_=Uuid())
    )
    rows = insert_into(dialect, JobCallback).from_select(list(columns), ours, include_defaults=False)
    return rows.returning(JobCallback.token_hash)


@cache
def _find() -> Select[*tuple[Any, ...]]:
    is_early = (JobCallback.expires_at > ledger_now()).cast(Integer).label("is_early")
    return (
        select(JobCallback.run_id, JobCallback.name, JobCallback.used_at, JobCallback.expires_at, is_early)
        .where(JobCallback.token_hash == bindparam("hash", type_=String()))
        .with_for_update()
    )
