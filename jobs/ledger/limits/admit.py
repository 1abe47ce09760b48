"""Admits claims under their limits: those that have room in all of their limits stay claimed, the others are parked.

A claim takes due runs of all kinds in one statement, in order. In the same transaction this locks the rows of their
limits, counts, reserves slots of rates, and undoes the claims that do not fit. Nobody sees those: no attempt is
recorded and nothing is charged.
Runs of kinds without limits cost one look into a dictionary.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID

from jobs.database.direct_statements import Runner
from jobs.definition.limits import LimitKey, keys_of, limited_kinds
from jobs.ledger.limits.counts import Key, Rule, in_use, lock_limits, make_rows, send_count, send_lock
from jobs.ledger.limits.parked import PREFIX, RATE_PREFIX, Refusal, due_by_time, held_on, key_of
from jobs.ledger.limits.rates import Looked, Rates, send_look
from jobs.ledger.limits.reassign import return_slots
from jobs.ledger.limits.slots import handed_slots
from jobs.ledger.limits.written import claims_at_once, write_decisions
from jobs.ledger.records import Claim, Freed

MAX_KNOWN = 100_000
"""Keys that a process remembers. Source: decision; about 20 MB."""


class AdmittedClaims(NamedTuple):
    """The claims that hold, the number of those that were parked, and parked runs that are ready now or by time.

    ``full`` are the keys that runs were parked on: after the commit, ask ``with_room``, because an attempt that ended
    at the same time has handed its slot to nobody. ``without_time`` are the runs that time alone does not make ready.
    """

    claims: list[Claim]
    parked: int = 0
    freed: Sequence[Freed] = ()
    full: Sequence[Key] = ()
    without_time: Sequence[UUID] = ()


def admit(
    runner: Runner,
    claims: list[Claim],
    *,
    worker: str,
    lease: timedelta,
    at_most: int | None = None,
    known: set[Key] | None = None,
    now: datetime | None = None,
) -> AdmittedClaims:
    """Claim the candidates ``claims``, and park those that exceed a limit. In the transaction that found them, which
    must not be autocommit.

    Args:
        claims: in the order in which they are to start.
        at_most: so many hold; further ones that have room go back to their queues as they were.
        known: keys that this process has used before, whose rows exist; those of ``claims`` are added.
    """
    if at_most is not None and len(claims) <= at_most:
        at_most = None
    limits = {one.run_id.int: keys_of(one.kind, one.arguments, one.arguments_version) for one in claims
              if one.kind in limited_kinds and one.problem is None}  # fmt: skip
    write = partial(write_decisions, runner, worker=worker, lease=lease, now=now)
    if not limits and at_most is None:
        write(claims)
        return AdmittedClaims(claims)
    handed = handed_slots(runner, [one.run_id for one in claims if one.run_id.int in limits], now=now) if limits else {}
    used: dict[Key, int] = {}
    looked: Looked = tuple
    if all(key.rate is None and key[:2] in handed.get(number, ()) for number, keys in limits.items() for key in keys):
        # All slots have been handed to them, so there is nothing to count.
        rules = {key: Rule(hold_until=until) for slots in handed.values() for key, until in slots.items()}
        used = dict.fromkeys(rules, -len(claims))
    else:
        every = {key[:2]: key for keys in limits.values() for key in keys}
        counted = {key[:2] for keys in limits.values() for key in keys if key.most is not None}
        _make_new(runner, every, set() if known is None else known, now)
        # Sent together, so that the rows are locked for a short time.
        lock = send_lock(runner, every, now=now)
        count = send_count(runner, counted)
        looked = send_look(runner, claims, limits, now=now)
        rules, used = lock(), count()
        gone = every.keys() - rules.keys()
        if gone:
            # Upkeep deleted them, because nobody had used them for long.
            if known is not None:
                known -= gone
            make_rows(runner, [every[one] for one in gone], now=now)
            rules |= lock_limits(runner, gone, now=now)
            used = in_use(runner, counted)
            # Without its row, which was deleted meanwhile, a limit is what the code of this process declares.
            rules = {one: rules.get(one, Rule()) for one in every}
        if not claims_at_once(runner):
            # The slots that were handed to them go to the first of all of these runs.
            for slot in (slot for slots in handed.values() for slot in slots):
                used[slot] = used.get(slot, 0) - 1
    rates = Rates(runner, claims, limits, rules, looked=looked)
    admitted: list[Claim] = []
    parked: list[tuple[Claim, Refusal]] = []
    too_many: list[Claim] = []
    for one in rates.in_order(claims, limits):
        keys = limits.get(one.run_id.int, ())
        # It asks for slots of rates only if nothing else holds it back.
        has_place = at_most is None or len(admitted) < at_most
        refusal = _held(keys, rules) or _full(keys, rules, used) or rates.refuse(one, keys, starts=has_place)
        if refusal is not None:
            parked.append((one, refusal))
            continue
        (admitted if has_place else too_many).append(one)
        for key in keys:
            # One that goes back to its queue keeps the slots that were handed to it.
            if key.most is not None and (has_place or key[:2] in handed.get(one.run_id.int, ())):
                used[key[:2]] = used.get(key[:2], 0) + 1
    taken = [(one.run_id, key[:2], one.token)
             for one in admitted for key in limits.get(one.run_id.int, ()) if key.most is not None]  # fmt: skip
    write(admitted, taken=taken, parked=parked, put_back=too_many, of_rates=rates.rows())
    freed = due_by_time(parked)
    freed += return_slots(runner, [one.run_id for one, _ in parked if one.run_id.int in handed], now=now)
    full = {key_of(why.held_on): None for _, why in parked if why.until is None}
    without_time = [one.run_id for one, why in parked if why.until is None]
    return AdmittedClaims(admitted, len(parked), freed, list(full), without_time)


def _make_new(runner: Runner, keys: dict[Key, LimitKey], known: set[Key], now: datetime | None) -> None:
    new = [key for one, key in keys.items() if one not in known]
    if new:
        make_rows(runner, new, now=now)
        if len(known) > MAX_KNOWN:
            known.clear()
        known.update(keys)


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
