"""Admits claims under their limits: those that have room in all of their limits stay claimed, the others are parked.

A claim takes due runs of all kinds in one statement, in order. In the same transaction this locks the rows of their
limits, counts, reserves slots of rates, and undoes the claims that do not fit. Nobody sees those: no attempt is
recorded and nothing is charged.
Runs of kinds without limits cost one look into a dictionary.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from jobs.database.sql import Executor
from jobs.definition.limits import LimitKey, keys_of, limited_kinds
from jobs.ledger.limits.counts import Key, Rule, in_use, lock_limits, make_rows
from jobs.ledger.limits.parked import PREFIX, RATE_PREFIX, Refusal, held_on, park, unclaim
from jobs.ledger.limits.rates import Rates
from jobs.ledger.limits.reassign import leave_slots
from jobs.ledger.limits.slots import take_slots
from jobs.ledger.records import Claim, Freed

MAX_KNOWN = 100_000
"""Keys that a process remembers. Source: decision; about 20 MB."""


class AdmittedClaims(NamedTuple):
    """The claims that hold, the number of those that were parked, and parked runs that are ready now or by time."""

    claims: list[Claim]
    parked: int = 0
    freed: Sequence[Freed] = ()


def admit(
    session: Executor,
    claims: list[Claim],
    *,
    at_most: int | None = None,
    known: set[Key] | None = None,
    now: datetime | None = None,
) -> AdmittedClaims:
    """Park those of ``claims`` that exceed a limit. In the transaction that claimed them, which must not be autocommit.

    Args:
        claims: in the order in which they are to start.
        at_most: so many hold; further ones that have room go back to their queues as they were.
        known: keys that this process has used before, whose rows exist; those of ``claims`` are added.
    """
    if at_most is not None and len(claims) <= at_most:
        at_most = None
    limits = {one.run_id.int: keys_of(one.kind, one.arguments, one.arguments_version) for one in claims
              if one.kind in limited_kinds and one.problem is None}  # fmt: skip
    if not limits and at_most is None:
        return AdmittedClaims(claims)
    rules = _locked(
        session, {key[:2]: key for keys in limits.values() for key in keys}, set() if known is None else known, now
    )
    counted = {key[:2] for keys in limits.values() for key in keys if key.most is not None}
    used = in_use(session, counted, now=now)
    rates = Rates(session, claims, limits, rules, now=now)
    admitted: list[Claim] = []
    parked: list[tuple[Claim, Refusal]] = []
    too_many: list[Claim] = []
    for one in rates.in_order(claims, limits):
        keys = limits.get(one.run_id.int, [])
        # It asks for slots of rates only if nothing else holds it back.
        has_place = at_most is None or len(admitted) < at_most
        refusal = _held(keys, rules) or _full(keys, rules, used) or rates.refuse(one, keys, starts=has_place)
        if refusal is not None:
            parked.append((one, refusal))
            continue
        if not has_place:
            too_many.append(one)
            continue
        admitted.append(one)
        for key in keys:
            if key.most is not None:
                used[key[:2]] = used.get(key[:2], 0) + 1
    taken = [(one.run_id, key[:2], one.token)
             for one in admitted for key in limits.get(one.run_id.int, []) if key.most is not None]  # fmt: skip
    take_slots(session, taken, now=now)
    rates.write()
    freed = park(session, parked, now=now)
    unclaim(session, too_many, now=now)
    freed += leave_slots(session, [one.run_id for one, _ in parked], now=now)
    return AdmittedClaims(admitted, len(parked), freed)


def _locked(session: Executor, keys: dict[Key, LimitKey], known: set[Key], now: datetime | None) -> dict[Key, Rule]:
    new = [key for one, key in keys.items() if one not in known]
    if new:
        make_rows(session, new, now=now)
        if len(known) > MAX_KNOWN:
            known.clear()
        known.update(keys)
    rules = lock_limits(session, keys, now=now)
    gone = keys.keys() - rules.keys()
    if gone:
        # Upkeep deleted them, because nobody had used them for long.
        known -= gone
        make_rows(session, [keys[one] for one in gone], now=now)
        rules |= lock_limits(session, gone, now=now)
    # Without its row, which was deleted meanwhile, a limit is what the code of this process declares.
    return {one: rules.get(one, Rule()) for one in keys}


def _held(keys: Sequence[LimitKey], rules: dict[Key, Rule]) -> Refusal | None:
    """The first limit or rate that is held, and until when."""
    for key in keys:
        until = rules[key[:2]].hold_until
        if until is not None:
            return Refusal(held_on(key[:2], PREFIX if key.rate is None else RATE_PREFIX), until)
    return None


def _full(keys: Sequence[LimitKey], rules: dict[Key, Rule], used: dict[Key, int]) -> Refusal | None:
    """The first limit that has no room."""
    for key in keys:
        if key.most is not None and used.get(key[:2], 0) >= (rules[key[:2]].most or key.most):
            return Refusal(held_on(key[:2]))
    return None
