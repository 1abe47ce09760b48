"""Claims under breakers: a run of an open slice is parked, unless it is the canary.

In the transaction that claimed, before limits are looked at. While nothing is open, it costs one look at the slices of
the claimed runs, and kinds without a breaker cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from jobs.database.sql import Executor
from jobs.definition.breakers import Slice, guarded_kinds, slice_of
from jobs.ledger.breakers.canaries import canaries_of, choose, drop_canaries
from jobs.ledger.breakers.slices import held_on, lock_breakers, open_slices
from jobs.ledger.limits.parked import Refusal, park
from jobs.ledger.records import Claim, Freed


class Passed(NamedTuple):
    """The claims that may go, how many runs were parked, and the runs that this made ready."""

    claims: list[Claim]
    parked: int = 0
    freed: Sequence[Freed] = ()


def hold_back(session: Executor, claims: list[Claim], *, now: datetime | None = None) -> Passed:
    """Park those of ``claims`` whose breaker is open: no attempt, no charge. Must not be in autocommit."""
    slices = {
        one.run_id.int: slice_of(one.kind, one.arguments, one.arguments_version)[0]
        for one in claims
        if one.kind in guarded_kinds and one.problem is None
    }
    if not slices or not (seen := open_slices(session, set(slices.values()), now=now)):
        return Passed(claims)
    lock_breakers(session, {one.name for one in seen})
    # Again: whoever held the lock may have closed it, and made ready what was parked then.
    still = open_slices(session, seen, now=now)
    canaries = canaries_of(session, still, now=now)
    chosen = {one.run_id for one in canaries}
    live = {one.of for one in canaries if one.is_live}
    going: list[Claim] = []
    parked: list[tuple[Claim, Slice, datetime | None]] = []
    new: list[tuple[UUID, Slice, UUID | None, datetime | None]] = []
    for one in claims:
        of = slices.get(one.run_id.int)
        is_open = still.get(of) if of is not None else None
        if of is None or is_open is None:
            going.append(one)
        elif one.run_id in chosen or (is_open.is_due and of not in live):
            going.append(one)
            new.append((one.run_id, of, one.token, None))
            live.add(of)
        elif of not in live:
            # The next canary: time alone makes it ready when the breaker may be tried.
            parked.append((one, of, is_open.probe_at))
            new.append((one.run_id, of, None, is_open.probe_at))
            live.add(of)
        else:
            parked.append((one, of, None))
    replaced = {of for _, of, _, _ in new}
    drop_canaries(session, [one.run_id for one in canaries if not one.is_live and one.of in replaced])
    choose(session, new, now=now)
    due = park(session, [(one, Refusal(held_on(of), until)) for one, of, until in parked], now=now)
    return Passed(going, len(parked), due)
