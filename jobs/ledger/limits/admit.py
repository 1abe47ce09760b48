"""Admits claims under their limits: those that have room in all of their limits stay claimed, the others are parked.

A claim takes due runs of all kinds in one statement, in order. In the same transaction this locks the rows of their
limits, counts, and undoes the claims that do not fit. Nobody sees those: no attempt is recorded and nothing is charged.
Runs of kinds without limits cost one look into a dictionary.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from jobs.database.sql import Executor
from jobs.definition.limits import LimitKey, keys_of, limited_kinds
from jobs.ledger.limits.counts import Key, Rule, in_use, lock_limits, make_rows
from jobs.ledger.limits.hand_on import leave_slots
from jobs.ledger.limits.parked import park
from jobs.ledger.limits.slots import take_slots
from jobs.ledger.records import Claim, Freed

MAX_KNOWN = 100_000
"""Keys that a process remembers. Source: decision; about 20 MB."""


class Admitted(NamedTuple):
    """The claims that hold, the number of those that were parked, and parked runs that are ready now."""

    claims: list[Claim]
    parked: int = 0
    freed: Sequence[Freed] = ()


def admit(
    session: Executor, claims: list[Claim], *, known: set[Key] | None = None, now: datetime | None = None
) -> Admitted:
    """Park those of ``claims`` that exceed a limit. In the transaction that claimed them, which must not be autocommit.

    Args:
        claims: in the order in which they are to start.
        known: keys that this process has used before, whose rows exist; those of ``claims`` are added.
    """
    limits = {one.run_id.int: keys_of(one.kind, one.arguments, one.arguments_version) for one in claims
              if one.kind in limited_kinds and one.problem is None}  # fmt: skip
    if not limits:
        return Admitted(claims)
    rules = _locked(
        session, {key[:2]: key for keys in limits.values() for key in keys}, set() if known is None else known, now
    )
    used = in_use(session, rules, now=now)
    admitted: list[Claim] = []
    parked: list[tuple[Claim, Key, datetime | None]] = []
    for one in claims:
        keys = limits.get(one.run_id.int, [])
        full = _full(keys, rules, used)
        if full is None:
            admitted.append(one)
            for key in keys:
                used[key[:2]] = used.get(key[:2], 0) + 1
        else:
            parked.append((one, *full))
    taken = [(one.run_id, key[:2], one.token) for one in admitted for key in limits.get(one.run_id.int, [])]
    take_slots(session, taken, now=now)
    park(session, parked, now=now)
    freed = leave_slots(session, [one.run_id for one, _, _ in parked], now=now)
    return Admitted(admitted, len(parked), freed)


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
    return {one: rules.get(one, Rule(key.most, None)) for one, key in keys.items()}


def _full(keys: Sequence[LimitKey], rules: dict[Key, Rule], used: dict[Key, int]) -> tuple[Key, datetime | None] | None:
    """The first limit that has no room, and until when it is held, if it is; None if all have room."""
    for key in keys:
        rule = rules[key[:2]]
        if rule.hold_until is not None:
            return key[:2], rule.hold_until
        if used.get(key[:2], 0) >= rule.most:
            return key[:2], None
    return None
