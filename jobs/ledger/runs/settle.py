"""Records the results of a worker's attempts, many in one transaction, or one in the transaction of its job."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import delete, func, not_, select, true

from jobs.database.direct_statements import DirectStatement
from jobs.database.models import JobAttempt, JobRateSlot, JobRun
from jobs.database.sql import Executor, dialect_of, ledger_now, one_of
from jobs.definition.breakers import guarded_kinds
from jobs.definition.limits import has_rate, limited_kinds
from jobs.ledger.breakers.ends import apply_ends
from jobs.ledger.done_batch import DONE, rows_of
from jobs.ledger.effects.attempt_logs import write_logs
from jobs.ledger.effects.waits import hold_waiting
from jobs.ledger.limits.counts import Key
from jobs.ledger.limits.reassign import exchange_slots, leave_unwanted, pass_slots_on
from jobs.ledger.records import AttemptResult, BreakerChange, Freed, RecordedAttempt
from jobs.ledger.runs.completion_effects import apply_completion_effects
from jobs.ledger.runs.end import AttemptEnd, end
from jobs.ledger.runs.settle_plain import is_limited_success, recorded, still_held, success


def settle(
    session: Executor,
    endings: Sequence[AttemptResult],
    *,
    worker: str,
    poison_after: int,
    monotonic: float,
    now: datetime | None = None,
) -> tuple[list[tuple[AttemptResult, RecordedAttempt]], list[AttemptResult]]:
    """End the attempts of ``endings``. Returns those settled, and those refused because their lease is lost.

    Args:
        monotonic: this process's monotonic clock, now; with ``AttemptResult.ended_monotonic`` it gives how long ago
            each attempt ended, so that stored moments follow the ledger's clock, not this machine's.
    """
    ends = [
        AttemptEnd(
            one.claim.run_id,
            one.claim.token,
            one.claim.attempt,
            one.outcome,
            worker,
            max(0.0, monotonic - one.ended_monotonic),
            one.elapsed_seconds,
            one.delay_seconds,
            one.cause,
            one.result,
            one.failure,
            one.awaits,
        )
        for one in endings
    ]
    ended, refused = end(session, ends, poison_after=poison_after, now=now)
    # By token if some were refused: a run may be here twice, once for a lost lease.
    lost = {one.token for one in refused}
    by_run = {one.claim.run_id.int: one for one in endings if not lost or one.claim.token not in lost}
    settled = [(by_run[one.run_id.int], one) for one in ended]
    if any(one.then or one.completes or one.arguments is not None for one in endings):
        settled = apply_completion_effects(session, settled, now=now)
    if any(one.held_on is not None for one in endings):
        settled = hold_waiting(session, settled, now=now)
    if any(one.log is not None for one in endings):
        logs = [(run.run_id, run.attempt, one.claim.token, one.log) for one, run in settled if one.log is not None]
        if logs:
            write_logs(session, logs, now=now)
    if guarded_kinds:
        applied = apply_ends(session, settled, now=now)
        if applied.freed or applied.changes:
            settled[0] = _with(settled[0], freed=applied.freed, breakers=applied.changes)
    limited = (
        {one.run_id: result.claim.token for result, one in settled if one.kind in limited_kinds}
        if limited_kinds
        else {}
    )
    if limited:
        kinds = {one.kind for _, one in settled}
        passed = pass_slots_on(session, limited, ends_attempts=any(map(has_rate, kinds)), now=now)
        settled[0] = _with(settled[0], freed=passed.freed, slots_left=passed.left)
    if not refused:
        return settled, []
    by_token = {one.claim.token: one for one in endings}
    return settled, [by_token[one.token] for one in refused]


def _with(
    first: tuple[AttemptResult, RecordedAttempt],
    *,
    freed: Sequence[Freed],
    breakers: Sequence[BreakerChange] = (),
    slots_left: Sequence[Key] = (),
) -> tuple[AttemptResult, RecordedAttempt]:
    """The first of a batch, with what the whole batch made ready, the breakers that it changed, and slots."""
    result, one = first
    return result, one._replace(
        followed_by=one.followed_by + tuple(freed),
        breakers=one.breakers + tuple(breakers),
        slots_left=one.slots_left + tuple(slots_left),
    )


def settle_one(
    session: Executor,
    ending: AttemptResult,
    *,
    worker: str,
    poison_after: int,
    monotonic: float,
    now: datetime | None = None,
) -> RecordedAttempt | None:
    """End an attempt in its job's own transaction, as ``settle`` does; None if its lease is lost.

    The connection of such a transaction keeps no plans. On PostgreSQL, a plain success of a kind with limits takes one
    statement, which is planned in half the time of three.
    """
    if is_limited_success(ending) and dialect_of(session) == "postgresql":
        done = _settle_limited(session, ending, worker=worker, monotonic=monotonic, now=now)
        if done is not None:
            return done
    given: dict[str, Any] = {"worker": worker, "poison_after": poison_after, "monotonic": monotonic, "now": now}
    settled, _ = settle(session, [ending], **given)
    return settled[0][1] if settled else None


def _settle_limited(
    session: Executor, ending: AttemptResult, *, worker: str, monotonic: float, now: datetime | None
) -> RecordedAttempt | None:
    """The same for a plain success of a kind with limits; None, and nothing has changed, if it is not so plain."""
    ((_, ago),), given = rows_of([ending], worker=worker, monotonic=monotonic, now=now)
    rows = _SETTLE_LIMITED.rows(session, given)
    moment, moved = rows[0][:2]
    if not moved:
        return None
    claim = ending.claim
    left = [(name, digest) for _, _, is_wanted, name, digest in rows if is_wanted is False]
    freed = []
    if any(row[2] for row in rows):
        passed = exchange_slots(session, {claim.run_id: claim.token}, now=now)
        freed, left = passed.freed, left + passed.left
    return recorded(ending, moment, ago, tuple(freed))._replace(slots_left=tuple(left))


@cache
def _limited(dialect: str) -> Any:
    done = DONE.table(dialect)
    # Another program's row may have the number of the attempt: the careful way takes the next free one.
    has_row = select(JobAttempt.run_id).where(JobAttempt.run_id == JobRun.id, JobAttempt.attempt == done.c.attempt)
    is_free = not_(has_row.correlate(JobRun, done).exists())
    moved, tried = success(done.c, [*still_held(done.c, not_(JobRun.has_followups)), is_free])
    gone = select(moved.c.id)
    used = delete(JobRateSlot).where(one_of(dialect, JobRateSlot.run_id, gone)).returning(JobRateSlot.run_id)
    slots = leave_unwanted(gone).subquery("slots_left")
    first = select(
        ledger_now().label("moment"), select(func.count()).select_from(moved).scalar_subquery().label("moved")
    )
    each = first.subquery("first")
    return (
        select(*each.c, *slots.c)
        .select_from(each.outerjoin(slots, true()))
        .add_cte(tried, used.cte("used_reservations"))
    )


_SETTLE_LIMITED = DirectStatement(_limited)
