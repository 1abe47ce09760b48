"""Admits claims under their rates: each run starts on a slot, or is parked until the slot that is reserved for it.

A reservation stands for one attempt: a run that is claimed on its slot does not reserve again, also if a limit is full
then or the claim is given back. The slot of a run that is cancelled before is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Integer, Text, Uuid, and_, delete, select, text, update

from jobs.database.direct_statements import DirectStatement, Runner
from jobs.database.models import JobLimit, JobRateSlot
from jobs.database.sql import RowBatch, dialect_of, insert_into, ledger_now, one_of
from jobs.definition.limits import LimitKey
from jobs.ledger.limits.counts import Key, Rule
from jobs.ledger.limits.gcra import LATEST, Pace, Track, moment_of, nanoseconds
from jobs.ledger.limits.parked import RATE_PREFIX, Refusal, held_on
from jobs.ledger.records import Claim

_IDS = RowBatch("gone", id=Uuid())
_ATTEMPTS = RowBatch("claimed", id=Uuid(), attempt=Integer())
RESERVED = RowBatch(
    "reserved", run_id=Uuid(), rate_name=Text(), digest=Text(), attempt=Integer(), place=BigInteger()
)  # fmt: skip
STATES = RowBatch("states", rate_name=Text(), digest=Text(), started=BigInteger(), line=Text())


Limits = Mapping[int, Sequence[LimitKey]]
"""The limits and rates of runs, by the numbers of their ids."""
Looked = Callable[[], Iterable[Sequence[Any]]]


def send_look(runner: Runner, claims: Sequence[Claim], limits: Limits, *, now: datetime | None = None) -> Looked:
    """Ask for the reservations of those with a rate, and for the moment: after their rows were locked, which may have
    taken a while. None have a rate: asks nothing."""
    rated = [(one.run_id, one.attempt) for one in claims if _has_rate(one, limits)]
    if not rated:
        return tuple
    return _LOOK.send(runner, {**_ATTEMPTS.rows(dialect_of(runner), rated), "now": now})


class Rates:
    """The rates of the claims of one transaction, which has locked their rows. Costs nothing if none has a rate.

    Args:
        looked: as ``send_look`` gives it.
    """

    def __init__(
        self,
        runner: Runner,
        claims: Sequence[Claim],
        limits: Limits,
        rules: Mapping[Key, Rule],
        *,
        looked: Looked,
    ) -> None:
        self._runner = runner
        self._tracks: dict[Key, Track] = {}
        self._places: dict[UUID, dict[Key, int]] = {}
        self._new: list[tuple[UUID, str, str, int, int]] = []
        self._now = 0
        for run_id, name, digest, place, moment in looked():
            self._now = nanoseconds(moment)
            if name is not None:
                self._places.setdefault(run_id, {})[name, digest] = place
        if self._now:
            for one in claims:
                for key in limits.get(one.run_id.int, ()):
                    if key.rate is not None and key[:2] not in self._tracks:
                        self._tracks[key[:2]] = self._track(key, rules[key[:2]])

    def in_order(self, claims: Sequence[Claim], limits: Limits) -> Sequence[Claim]:
        """The same; those of one line of a rate change places, so that they are in the order of their reservations."""
        if not self._places:
            return claims
        lines: dict[tuple[Any, ...], list[int]] = {}
        for number, one in enumerate(claims):
            key = next((key[:2] for key in limits.get(one.run_id.int, ()) if key.rate is not None), None)
            if key is not None:
                lines.setdefault((key, one.priority), []).append(number)
        ordered = list(claims)
        for (key, _), numbers in lines.items():
            places = {n: self._places.get(claims[n].run_id, {}).get(key, LATEST) for n in numbers}
            for number, source in zip(numbers, sorted(numbers, key=lambda n: places[n]), strict=True):
                ordered[number] = claims[source]
        return ordered

    def refuse(self, claim: Claim, keys: Sequence[LimitKey], *, starts: bool = True) -> Refusal | None:
        """None if the run has slots of all of its rates now; else until when it is parked, and on which.

        Args:
            starts: whether it starts if it has. Otherwise it keeps its slots.
        """
        tracks = {key[:2]: self._tracks[key[:2]] for key in keys if key.rate is not None}
        if not tracks:
            return None
        places = self._reserved(claim, tracks)
        slots = {key: track.slot(claim.priority, places[key]) for key, track in tracks.items()}
        if max(slots.values()) <= self._now:
            full = {key: track for key, track in tracks.items() if track.room_at() > self._now}
            if not full and not starts:
                return None
            if not full:
                for key, track in tracks.items():
                    track.start(claim.priority, places[key], self._now)
                return None
            slots = {key: track.put_off(claim.priority, places[key]) for key, track in full.items()}
        last = max(slots, key=lambda key: slots[key])
        return Refusal(held_on(last, RATE_PREFIX), moment_of(slots[last]))

    def rows(self) -> dict[str, Any]:
        """New reservations and the states of the rates: the parameters of ``reserve`` and ``write_states``, if any."""
        if not self._tracks:
            return {}
        dialect = dialect_of(self._runner)
        states = [(*key, *track.written(self._now)) for key, track in sorted(self._tracks.items())]
        return {**RESERVED.rows(dialect, self._new), **STATES.rows(dialect, states)}

    def _track(self, key: LimitKey, rule: Rule) -> Track:
        assert key.rate is not None
        pace = rule.pace or Pace(key.rate.count, key.rate.per.total_seconds(), key.rate.burst)
        return Track.read(pace, rule.started, rule.lines, self._now)

    def _reserved(self, claim: Claim, tracks: Mapping[Key, Track]) -> Mapping[Key, int]:
        places = self._places.get(claim.run_id, {})
        for key, track in tracks.items():
            if key not in places:
                places[key] = track.reserve(claim.priority, self._now)
                self._new.append((claim.run_id, *key, claim.attempt, places[key]))
        return places


def _has_rate(one: Claim, limits: Limits) -> bool:
    return any(key.rate is not None for key in limits.get(one.run_id.int, ()))


def forget_reservations(runner: Runner, run_ids: Sequence[UUID]) -> None:
    """Delete the reservations of runs whose attempts have ended."""
    if run_ids:
        _FORGET.rows(runner, _IDS.rows(dialect_of(runner), [(one,) for one in run_ids]))


@cache
def _look(dialect: str) -> Any:
    claimed = _ATTEMPTS.table(dialect)
    same = and_(JobRateSlot.run_id == claimed.c.id, JobRateSlot.attempt == claimed.c.attempt)
    return select(claimed.c.id, JobRateSlot.name, JobRateSlot.digest, JobRateSlot.place, ledger_now()).select_from(
        claimed.outerjoin(JobRateSlot, same)
    )


@cache
def reserve(dialect: str) -> Any:
    """Write the reservations of ``RESERVED``."""
    reserved = RESERVED.table(dialect).c
    # Without a WHERE, SQLite cannot tell where the select ends and ON CONFLICT begins.
    rows = select(
        reserved.run_id, reserved.rate_name, reserved.digest, reserved.attempt, reserved.place
    ).where(text("true"))  # fmt: skip
    names = ["run_id", "name", "digest", "attempt", "place"]
    inserted = insert_into(dialect, JobRateSlot).from_select(names, rows, include_defaults=False)
    changed = {name: inserted.excluded[name] for name in names[2:]}
    return inserted.on_conflict_do_update(index_elements=["run_id", "name"], set_=changed)


@cache
def write_states(dialect: str) -> Any:
    """Write the states of ``STATES``."""
    states = STATES.table(dialect).c
    return (
        update(JobLimit)
        .where(JobLimit.name == states.rate_name, JobLimit.digest == states.digest)
        .values(rate_started=states.started, rate_lines=states.line)
    )


@cache
def _forget(dialect: str) -> Any:
    return delete(JobRateSlot).where(one_of(dialect, JobRateSlot.run_id, select(_IDS.table(dialect).c.id)))


_LOOK, _FORGET = DirectStatement(_look), DirectStatement(_forget)
