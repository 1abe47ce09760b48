"""What the ends of attempts do to breakers: failures open them, and a canary's end closes them or opens them again.

In the transaction that ends the attempts, before slots of limits are handed on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from jobs.database.sql import Executor
from jobs.definition.breaker import Breaker
from jobs.definition.breakers import Slice, guarded_kinds, slice_of
from jobs.ledger.breakers.canaries import canaries_of, choose, claimed_canaries, drop_canaries, drop_canaries_of
from jobs.ledger.breakers.failures import count_failures, forget_failures, record_failures
from jobs.ledger.breakers.parked import free_parked, make_due, next_parked
from jobs.ledger.breakers.slices import declare, lock_breakers, open_slices, set_closed, set_open
from jobs.ledger.records import AttemptResult, BreakerChange, Freed, RecordedAttempt
from jobs.states import CHARGED, Cause, Outcome

EndedAttempt = tuple[AttemptResult, RecordedAttempt]


class Applied(NamedTuple):
    """Runs that are ready now, and the breakers that opened, closed, or were found open."""

    freed: list[Freed]
    changes: list[BreakerChange]


def apply_ends(session: Executor, settled: Sequence[EndedAttempt], *, now: datetime | None = None) -> Applied:
    """Count the failures among ``settled``, and end its canaries. Publish what it returns after the commit."""
    freed: list[Freed] = []
    changes: list[BreakerChange] = []
    guarded = [end for end in settled if end[0].claim.kind in guarded_kinds]
    if not guarded:
        return Applied(freed, changes)
    ended = claimed_canaries(session, [(one.run_id, result.claim.token) for result, one in guarded])
    failed = [end for end in guarded if _is_failure(*end)]
    if not ended and not failed:
        return Applied(freed, changes)
    breakers = {str(guarded_kinds[end[0].claim.kind].name): guarded_kinds[end[0].claim.kind] for end in guarded}
    _lock(session, breakers, now)
    for of in sorted(set(ended.values())):
        ends = [end for end in guarded if ended.get(end[1].run_id) == of]
        more, change = _end_canaries(session, of, breakers[of.name], ends, now)
        freed += more
        changes += change
    by_slice: dict[Slice, list[EndedAttempt]] = defaultdict(list)
    keys: dict[Slice, str | None] = {}
    for end in failed:
        claim = end[0].claim
        of, key = slice_of(claim.kind, claim.arguments, claim.arguments_version)
        keys[of] = key
        if end[1].run_id not in ended:
            by_slice[of].append(end)
    already = open_slices(session, by_slice, now=now) if by_slice else {}
    for of in sorted(by_slice):
        if of in already:
            kind = by_slice[of][0][0].claim.kind
            changes.append(BreakerChange(of.name, kind, is_open=True, digest=of.digest, is_news=False))
        else:
            changes += _count(session, of, keys[of], breakers[of.name], by_slice[of], now)
    return Applied(freed, changes)


def close(session: Executor, of: Slice, *, now: datetime | None = None) -> list[Freed]:
    """Close a slice, whose breaker is locked, and make its parked runs ready: a batch here, the others by upkeep."""
    set_closed(session, of, now=now)
    drop_canaries_of(session, of)
    forget_failures(session, of)
    return free_parked(session, of, now=now)


def choose_next(
    session: Executor, of: Slice, at: datetime, *, count: int = 1, now: datetime | None = None
) -> list[Freed]:
    """Make the next parked runs of a slice its canaries, which may go at a moment."""
    ids = next_parked(session, of, count)
    due = make_due(session, ids, at)
    choose(session, [(one.run_id, of, None, at) for one in due], now=now)
    return due


def _lock(session: Executor, breakers: dict[str, Breaker], now: datetime | None) -> None:
    known = lock_breakers(session, breakers)
    if len(known) < len(breakers):
        # Attempts end here before a claim of this code has declared them.
        declare(session, breakers.values(), now=now)
        lock_breakers(session, breakers)


def _is_failure(result: AttemptResult, one: RecordedAttempt) -> bool:
    """Whether an attempt says that the work fails; wrong arguments are a fault of their run alone."""
    return one.outcome in CHARGED and result.failure is not None and result.cause is not Cause.BAD_ARGUMENTS


def _end_canaries(
    session: Executor, of: Slice, breaker: Breaker, ends: Sequence[EndedAttempt], now: datetime | None
) -> tuple[list[Freed], list[BreakerChange]]:
    """What the ends of canaries say: one failure opens again, and the last success of all closes."""
    is_open = open_slices(session, [of], now=now).get(of)
    if is_open is None:
        drop_canaries(session, [one.run_id for _, one in ends])
        return [], []
    failure = next((end for end in ends if _is_failure(*end)), None)
    if failure is not None:
        drop_canaries_of(session, of)
        seconds = breaker.open_seconds(is_open.failed_canaries + 1)
        probe_at = set_open(
            session, of, seconds=seconds, failed_canaries=is_open.failed_canaries + 1, now=now, **_why(failure[0])
        )
        change = _change(of, failure[0], probe_at=probe_at, is_again=True)
        return choose_next(session, of, probe_at, now=now), [change]
    drop_canaries(session, [one.run_id for _, one in ends])
    left = [one for one in canaries_of(session, [of], now=now) if one.is_live]
    if any(one.outcome is Outcome.SUCCEEDED for _, one in ends):
        if left:
            return [], []
        freed = close(session, of, now=now)
        return freed, [BreakerChange(of.name, ends[0][0].claim.kind, is_open=False, freed=len(freed))]
    # Snoozed, given up, cancelled: it says nothing, and the next one goes.
    return [] if left else choose_next(session, of, is_open.probe_at, now=now), []


def _count(
    session: Executor, of: Slice, key: str | None, breaker: Breaker, ends: Sequence[EndedAttempt], now: datetime | None
) -> list[BreakerChange]:
    by_fingerprint = {result.failure.fingerprint: result for result, _ in ends if result.failure is not None}
    record_failures(
        session,
        [(one.run_id, one.attempt, of, result.failure.fingerprint) for result, one in ends if result.failure],
        now=now,
    )
    within = breaker.within.total_seconds()
    for fingerprint, result in by_fingerprint.items():
        count = count_failures(session, of, fingerprint, within_seconds=within, most=breaker.after, now=now)
        if count >= breaker.after:
            probe_at = set_open(
                session, of, seconds=breaker.open_seconds(0), key=key, failures=count, now=now, **_why(result)
            )
            forget_failures(session, of)
            drop_canaries_of(session, of)
            return [_change(of, result, probe_at=probe_at, failures=count)]
    return []


def _why(result: AttemptResult) -> dict[str, Any]:
    assert result.failure is not None
    return {"fingerprint": result.failure.fingerprint, "error_type": result.failure.type}


def _change(
    of: Slice, result: AttemptResult, *, probe_at: datetime, is_again: bool = False, failures: int | None = None
) -> BreakerChange:
    assert result.failure is not None
    return BreakerChange(
        of.name,
        result.claim.kind,
        is_open=True,
        digest=of.digest,
        is_again=is_again,
        fingerprint=result.failure.fingerprint,
        error_type=result.failure.type,
        failures=failures,
        probe_at=probe_at,
    )
