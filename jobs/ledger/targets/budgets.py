"""Error budgets of all targets, computed from the ledger's counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from jobs.database.sql import Executor
from jobs.ledger.moment import ledger_moment
from jobs.ledger.operators.retention import read_retention
from jobs.ledger.queries.plan_parts import ended_names
from jobs.ledger.targets.counts import CountRecord, Range, count_ended, counts_before
from jobs.ledger.targets.set_targets import NO_TARGET, Key, TargetInForce, read_in_force, targets_in_force
from jobs.settings import Settings
from jobs.states import RunState
from jobs.targets.burn import PERIOD, WINDOWS, Budget, Burn, Count, burn_of

LOOKBACK = timedelta(hours=1)
"""How far back a new target counts, unless runs are deleted sooner. Source: decision; it shows at once what happens."""
STEP = timedelta(hours=1)
"""Most time that one step counts, so that a step after a long pause stays short."""
MINUTE = timedelta(minutes=1)
LEAST_KEPT = 5 * MINUTE
"""Runs are counted within this time of their end. Of a kind that is kept for less, some may be missed."""
LAG = timedelta(seconds=10)
"""A minute is counted this long after its end. Source: decision; by then each end in it has been committed."""


def read_budgets(
    session: Executor,
    settings: Settings,
    *,
    targets: Mapping[Key, TargetInForce] | None = None,
    now: datetime | None = None,
) -> list[Budget]:
    """The budget of each queue and kind with a success target: what is counted, and what has ended since.

    Args:
        targets: what ``read_in_force`` returned a moment ago.
    """
    known = read_in_force(session) if targets is None else targets
    of = {key: one.target.success for key, one in known.items() if one.target.success is not None}
    if not of:
        return []
    moment = now or ledger_moment(session)
    by_operator = {key: one.by_operator or NO_TARGET for key, one in known.items()}
    return [
        Budget(
            what=key[0], name=key[1], success=success, since=since, burns=burns,
            is_set=by_operator[key].success is not None,
        )
        for (key, success), (since, burns) in zip(of.items(), _burns(session, settings, of, moment), strict=True)
    ]  # fmt: skip


def count_on(session: Executor, settings: Settings, *, now: datetime) -> dict[Key, CountRecord]:
    """The next row of each target that lacks the last minute; at most an hour of runs further."""
    of = [key for key, one in targets_in_force(session).items() if one.success is not None]
    until = (now - LAG).replace(second=0, microsecond=0)
    last = dict(zip(of, counts_before(session, [(key, now + PERIOD) for key in of]), strict=True))
    due = [key for key in of if (found := last[key]) is None or found.counted_at < until]
    if not due:
        return {}
    parts = _parts(session, due)
    kept = _kept(session, settings, parts)
    begin = {key: _begin(last[key], now, kept[key]) for key in due}
    ends = {key: min(until, (begin[key] + STEP).replace(minute=0, second=0, microsecond=0)) for key in due}
    # The first row of a target has counted nothing: windows begin with it.
    ends = {key: begin[key] if last[key] is None else max(ends[key], begin[key]) for key in due}
    ended = _count(session, parts, begin, ends)
    rows: dict[Key, CountRecord] = {}
    for key in due:
        before = last[key]
        rows[key] = CountRecord(ends[key], (before.count if before else Count()).plus(ended[key]))
    return rows


def _burns(
    session: Executor, settings: Settings, of: Mapping[Key, float], now: datetime
) -> Iterable[tuple[datetime, tuple[Burn, ...]]]:
    keys = list(of)
    moments = [now + PERIOD, *(now - span for span in WINDOWS.values())]
    asked = counts_before(session, [(key, moment) for key in keys for moment in moments])
    rows = {key: asked[place * len(moments) : (place + 1) * len(moments)] for place, key in enumerate(keys)}
    parts = _parts(session, keys)
    kept = _kept(session, settings, parts)
    begin = {key: _begin(rows[key][0], now, kept[key]) for key in keys}
    # What ended at this very moment counts too.
    fresh = _count(session, parts, begin, dict.fromkeys(keys, now + MINUTE))
    for key in keys:
        last, *before = rows[key]
        total = (last.count if last else Count()).plus(fresh[key])
        since = [one.counted_at for one in before if one is not None]
        burns = tuple(
            burn_of(window, total.less(one.count if one else Count()), success=of[key])
            for window, one in zip(WINDOWS, before, strict=True)
        )
        yield min(since, default=begin[key]), burns


def _begin(last: CountRecord | None, now: datetime, kept: timedelta) -> datetime:
    """From when on runs are counted that no row has: earlier ones may have been deleted."""
    if last is None:
        return (now - min(LOOKBACK, kept)).replace(second=0, microsecond=0)
    return max(last.counted_at, now - kept)


def _parts(session: Executor, keys: Iterable[Key]) -> dict[Key, list[tuple[str, str]]]:
    """The queues and kinds of the ended runs of each key."""
    names = sorted({(queue, kind) for _, queue, kind in ended_names(session)})
    return {key: [one for one in names if one[0 if key[0] == "queue" else 1] == key[1]] for key in keys}


def _kept(session: Executor, settings: Settings, parts: Mapping[Key, list[tuple[str, str]]]) -> dict[Key, timedelta]:
    """How long ended runs of each key are there to be counted. The pruner needs a while, too."""
    retention = read_retention(session, settings)
    counted = (RunState.SUCCEEDED, RunState.DEAD)
    kept: dict[Key, timedelta] = {}
    for key, names in parts.items():
        found = [retention.span_of(state, *name) for name in names for state in counted]
        spans = found or [retention.states[state] for state in counted]
        kept[key] = max(LEAST_KEPT, min(PERIOD if span is None else span for span in spans))
    return kept


def _count(
    session: Executor,
    parts: Mapping[Key, list[tuple[str, str]]],
    begin: Mapping[Key, datetime],
    ends: Mapping[Key, datetime],
) -> dict[Key, Count]:
    ranges = [(key, Range(queue, kind, begin[key], ends[key])) for key in begin for queue, kind in parts[key]]
    found = dict.fromkeys(begin, Count())
    for (key, _), one in zip(ranges, count_ended(session, [each for _, each in ranges]), strict=True):
        found[key] = found[key].plus(one)
    return found
