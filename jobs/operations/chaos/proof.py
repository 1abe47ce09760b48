"""Proves from the ledger what must hold after chaos; every part names examples of what breaks it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from jobs.database.engine import Database
from jobs.database.sql import Executor
from jobs.ledger import workers
from jobs.ledger.chaos import breaches
from jobs.ledger.chaos.breaches import Breach
from jobs.ledger.chaos.open_runs import GRACE_SECONDS, LATE, LOST, ended_runs, examples_of, moving_queues, open_runs
from jobs.ledger.operators import queues

EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Invariant:
    """A promise, whether it held, what was counted, and examples of runs that break it."""

    name: str
    promise: str
    breaches: tuple[Breach, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return not self.breaches


@dataclass(frozen=True, slots=True)
class Hits:
    """What chaos did: the workers that it killed or stopped, and when it cut connections."""

    workers: Collection[str]
    cuts: Sequence[datetime]


def prove(database: Database, *, since: datetime, hits: Hits) -> list[Invariant]:
    """Check every promise for the period from ``since`` to now, in one snapshot of the ledger."""
    with database.snapshot() as session:
        counts = breaches.counted(session, since=since)
        return [
            _ended_or_held(session, since),
            _attempts(session, since, hits, counts["attempts"]),
            Invariant(
                "tokens",
                "no token ended two attempts",
                tuple(breaches.repeated_tokens(session, since=since, limit=EXAMPLES)),
                {"checked": counts["attempts"]},
            ),
            Invariant(
                "effects",
                "each transaction() took effect exactly once, with its success",
                tuple(breaches.wrong_effects(session, limit=EXAMPLES)),
                {"checked": counts["effects"]},
            ),
        ]


def left_to_end(database: Database) -> int:
    """How many runs a worker performs, or would perform now: those to wait for before the proof."""
    with database.read() as session:
        waited_for = ("running", "ready", "retrying", "lease just over", LATE, LOST)
        return sum(one.runs for one in open_runs(session) if one.word in waited_for)


def _ended_or_held(session: Executor, since: datetime) -> Invariant:
    counts: dict[str, int] = {}
    for ended in ended_runs(session, since=since):
        word = f"{ended.state}: {ended.cause}" if ended.cause else ended.state
        counts[word] = counts.get(word, 0) + ended.runs
    paused, paused_kinds = queues.pauses(session), queues.pauses(session, "kind")
    served = {queue for one in workers.live(session) for queue in one.queues}
    moving: set[str] | None = None
    found: list[Breach] = []
    for one in open_runs(session):
        word = one.word
        if word == LATE:
            moving = moving_queues(session) if moving is None else moving
            if one.queue in paused or one.kind in paused_kinds:
                word = "paused"
            elif one.queue not in served:
                word = "served by no worker"
            elif one.queue in moving:
                word = "behind others"
            else:
                why = f"it has been ready for more than {GRACE_SECONDS:g} s, and no worker took it"
                found += [Breach(run_id, why) for run_id in examples_of(session, LATE, one.queue, limit=EXAMPLES)]
        elif word == LOST:
            why = f"its lease ran out more than {GRACE_SECONDS:g} s ago, and nobody ended its attempt"
            found += [Breach(run_id, why) for run_id in examples_of(session, LOST, one.queue, limit=EXAMPLES)]
        counts[word] = counts.get(word, 0) + one.runs
    return Invariant("runs", "every run is final, or held and why", _once(found), counts)


def _attempts(session: Executor, since: datetime, hits: Hits, count: int) -> Invariant:
    found = breaches.attempts_off_record(session, since=since, limit=EXAMPLES)
    found += breaches.unexplained_attempts(session, since=since, limit=EXAMPLES)
    found += breaches.contradictions(session, since=since, limit=EXAMPLES)
    lost = breaches.abandoned_attempts(session, since=since)
    for one in lost:
        if one.worker in hits.workers or any(one.started_at <= cut <= one.finished_at for cut in hits.cuts):
            continue
        found.append(Breach(one.run_id, f"attempt {one.attempt} was lost by {one.worker}, which had no fault"))
    counts = {"checked": count, "lost to faults": len(lost)}
    return Invariant("attempts", "every attempt is on record and explained", _once(found), counts)


def _once(found: list[Breach]) -> tuple[Breach, ...]:
    """The first breach of each run, a few."""
    first: dict[UUID, Breach] = {}
    for one in found:
        first.setdefault(one.run_id, one)
    return tuple(list(first.values())[: 2 * EXAMPLES])
