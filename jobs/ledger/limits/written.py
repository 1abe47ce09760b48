"""Writes what a claim has decided: which runs start, which are parked, slots that are taken, and the state of rates.

On PostgreSQL in one statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Float, String, Update, Uuid, bindparam, literal_column, null, select, update

from jobs.database.direct_statements import DirectStatement, Runner
from jobs.database.models import JobLimit, JobLimitSlot, JobRateSlot, JobRun
from jobs.database.sql import RowBatch, counted, dialect_of, ledger_now, plus_seconds
from jobs.ledger.claim_columns import without_waiting
from jobs.ledger.holds import NOT_HELD
from jobs.ledger.limits.parked import Parked, hold_parked, put_back_claims, rows_of_parked
from jobs.ledger.limits.rates import RESERVED, STATES, reserve, write_states
from jobs.ledger.limits.slots import Slot, rows_of_slots, take
from jobs.ledger.records import Claim
from jobs.states import RunState, checked_move

_CLAIMED = RowBatch("claimed", id=Uuid(), token=Uuid())
_RUNNING = checked_move(RunState.QUEUED, RunState.RUNNING)


def write_decisions(
    runner: Runner,
    claims: Sequence[Claim],
    *,
    worker: str,
    lease: timedelta,
    taken: Sequence[Slot] = (),
    parked: Sequence[Parked] = (),
    put_back: Sequence[Claim] = (),
    of_rates: dict[str, Any] | None = None,
    now: datetime | None = None,
) -> None:
    """Write them all; ``of_rates`` as ``Rates.rows`` gives it.

    Args:
        put_back: candidates that do not start and are not parked.
    """
    dialect = dialect_of(runner)
    slots = {**rows_of_slots(dialect, taken), "now": now}
    held = {**rows_of_parked(dialect, parked), "now": now}
    if dialect == "postgresql":
        rows = [(one.run_id, one.token) for one in claims]
        lasting = {"by_worker": worker, "lease_seconds": lease.total_seconds()}
        started = {**_CLAIMED.rows(dialect, rows), **lasting}
        if claims or parked or of_rates:
            _WRITE.send(runner, {**started, **slots, **held, **(of_rates or _NO_RATES)})
        return
    if taken:
        _TAKE.rows(runner, slots)
    if parked:
        _PARK.rows(runner, held)
    put_back_claims(runner, put_back, now=now)
    if of_rates:
        _RESERVE.rows(runner, {"reserved": of_rates["reserved"]})
        _KEEP.rows(runner, {"states": of_rates["states"]})


def claims_at_once(runner: Runner) -> bool:
    """Whether candidates are claimed when they are found, and refused ones undone."""
    return dialect_of(runner) == "sqlite"


def _claim() -> Update:
    """Claim the candidates of ``_CLAIMED``, which this transaction has locked. PostgreSQL only."""
    claimed = _CLAIMED.table("postgresql").c
    return (
        update(JobRun)
        .where(JobRun.id == claimed.id)
        .values(
            state=literal_column(f"'{_RUNNING}'"),
            token=claimed.token,
            lease_until=plus_seconds(ledger_now(), bindparam("lease_seconds", type_=Float())),
            attempt=counted(JobRun.attempt, literal_column("1")),
            worker=bindparam("by_worker", type_=String()),
            started_at=ledger_now(),
            state_at=ledger_now(),
            **dict.fromkeys(NOT_HELD, null()),
        )
    )


@cache
def _write(dialect: str) -> Any:
    parts = (
        _claim().returning(JobRun.id).cte("started"),
        take(dialect).returning(JobLimitSlot.run_id).cte("took_slots"),
        hold_parked(dialect).returning(JobRun.id).cte("held_back"),
        reserve(dialect).returning(JobRateSlot.run_id).cte("made_reservations"),
        write_states(dialect).returning(JobLimit.name).cte("kept_states"),
    )
    # A claim that is lost with the server does no harm: see claim_statements.py.
    return select(literal_column("1")).where(without_waiting()).add_cte(*parts)


_NO_RATES = {**RESERVED.rows("postgresql", []), **STATES.rows("postgresql", [])}
_WRITE = DirectStatement(_write)
_TAKE, _PARK = DirectStatement(take), DirectStatement(hold_parked)
_RESERVE, _KEEP = DirectStatement(reserve), DirectStatement(write_states)
