"""A ledger for tests of the verbs: each verb in a transaction of its own, at a moment that the test steps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, literal, select, union_all, update

from jobs.clock import new_run_id
from jobs.database.engine import Database
from jobs.database.models import Base, JobQueue, JobRun
from jobs.definition.breakers import guarded_kinds
from jobs.definition.fairness import fair_kinds
from jobs.definition.limits import limited_kinds
from jobs.ledger.admission import insert
from jobs.ledger.breakers.admit import hold_back
from jobs.ledger.fairness.claim import claim_due_in_turn, claim_in_turn
from jobs.ledger.limits.admit import AdmittedClaims, admit
from jobs.ledger.limits.counts import with_room
from jobs.ledger.limits.reassign import left_parked, reassign
from jobs.ledger.queries import find
from jobs.ledger.records import AttemptResult, Claim, Failure, Freed, NewRun, RecordedAttempt
from jobs.ledger.run_records import AttemptRecord, RunRecord
from jobs.ledger.runs import cancel, claim, give_back, lease, replay, settle, sweep
from jobs.ledger.runs.claim import candidates, due_candidates
from jobs.ledger.runs.settle_plain import is_limited_success, is_plain, settle_limited, settle_plain
from jobs.states import Cause, Outcome, RunState

SECOND = timedelta(seconds=1)
LEASE = 30 * SECOND
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
BOOM = Failure("ValueError", "boom", "Traceback …", "0123456789ab")


class Book:
    """The verbs at ``now``, with short names. ``poison_after`` is 3, as by default."""

    def __init__(self, database: Database, *, now: datetime = START) -> None:
        self.database = database
        self.now = now
        self.poison_after = 3

    @property
    def is_postgresql(self) -> bool:
        return self.database.dialect == "postgresql"

    def step(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def enqueue(self, **given: Any) -> UUID:
        """Insert one run; its id."""
        run = new_run(**given)
        self.insert([run])
        return run.id

    def insert(self, runs: Sequence[NewRun]) -> None:
        with self.database.write() as connection:
            insert.insert_runs(connection, runs, now=self.now)

    def claim(
        self, *run_ids: UUID, worker: str = "w1", kinds: Sequence[str] = ("Mail",), lease: timedelta = LEASE
    ) -> list[Claim]:
        """As a worker does: by a direct statement, where the dialect can."""
        given: dict[str, Any] = {"kinds": kinds, "worker": worker, "lease": lease, "now": self.now}
        if self.is_postgresql and is_plain_kinds(kinds):
            with self.database.direct() as direct:
                return claim.claim_direct(direct, run_ids, **given)
        with self.database.write() as connection:
            by_ids = candidates if fair_kinds.keys().isdisjoint(kinds) else claim_in_turn
            passed = hold_back(connection, by_ids(connection, run_ids, **given), now=self.now)
            admitted = admit(connection, passed.claims, worker=worker, lease=lease, now=self.now)
        return self._reassigned(admitted)

    def claim_due(
        self,
        count: int = 10,
        *,
        queue: str = "default",
        worker: str = "w1",
        kinds: Sequence[str] = ("Mail",),
        lease: timedelta = LEASE,
    ) -> list[Claim]:
        given: dict[str, Any] = {"count": count, "kinds": kinds, "worker": worker, "lease": lease, "now": self.now}
        if self.is_postgresql and is_plain_kinds(kinds):
            with self.database.direct() as direct:
                return claim.claim_due_direct(direct, [queue], **given)
        with self.database.write() as connection:
            if fair_kinds.keys().isdisjoint(kinds):
                due = due_candidates(connection, [queue], **given)
            else:
                due = claim_due_in_turn(connection, queue, **given)
            passed = hold_back(connection, due, now=self.now)
            admitted = admit(connection, passed.claims, worker=worker, lease=lease, now=self.now)
        return self._reassigned(admitted)

    def _reassigned(self, admitted: AdmittedClaims) -> list[Claim]:
        """The claims; as a worker does, look after the commit whether an attempt has ended meanwhile."""
        if admitted.full and self.is_postgresql:
            with self.database.write() as connection:
                reassign(connection, with_room(connection, admitted.full, now=self.now), now=self.now)
        return admitted.claims

    def start(self, *, worker: str = "w1", **given: Any) -> Claim:
        """Enqueue a run and claim it."""
        (held,) = self.claim(self.enqueue(**given), worker=worker)
        return held

    def give_back(self, *claims: Claim) -> list[Freed]:
        with self.database.write() as connection:
            return give_back.give_back(connection, [(one.run_id, one.token) for one in claims], now=self.now)

    def release_unacknowledged(self, *known: Claim, worker: str = "w1") -> list[Freed]:
        with self.database.write() as connection:
            return sweep.release_unacknowledged(connection, worker, held={one.token for one in known}, now=self.now)

    def settle(
        self, *endings: AttemptResult, worker: str = "w1"
    ) -> tuple[list[tuple[AttemptResult, RecordedAttempt]], list[AttemptResult]]:
        """As a worker's settler does: plain successes by one statement, where the dialect can, then the others."""
        plain = {one.claim.run_id: one for one in endings if is_plain(one)} if self.is_postgresql else {}
        done: list[tuple[AttemptResult, RecordedAttempt]] = []
        if plain:
            with self.database.direct() as direct:
                done = settle_plain(direct, list(plain.values()), worker=worker, monotonic=0.0, now=self.now)
        limited = {one.claim.run_id: one for one in endings if is_limited_success(one)} if self.is_postgresql else {}
        if limited:
            with self.database.direct() as direct:
                some = settle_limited(direct, list(limited.values()), worker=worker, monotonic=0.0, now=self.now)
                done, keys = done + some.settled, some.left
                parked = left_parked(direct, keys) if keys else []
            if parked:
                with self.database.write() as connection:
                    reassign(connection, parked, now=self.now)
        left = [one for one in endings if all(one is not ended for ended, _ in done)]
        settled, refused = self.settle_with_care(*left, worker=worker)
        return done + settled, refused

    def settle_with_care(
        self, *endings: AttemptResult, worker: str = "w1"
    ) -> tuple[list[tuple[AttemptResult, RecordedAttempt]], list[AttemptResult]]:
        with self.database.write() as connection:
            settled, refused = settle.settle(
                connection, endings, worker=worker, poison_after=self.poison_after, monotonic=0.0, now=self.now
            )
        if left := [key for _, one in settled for key in one.slots_left]:
            with self.database.write() as connection:
                reassign(connection, left, now=self.now)
        return settled, refused

    def end(self, held: Claim, outcome: Outcome, **given: Any) -> RecordedAttempt | None:
        """Settle one attempt; None when it was refused."""
        settled, _ = self.settle(attempt_result(held, outcome, **given))
        return settled[0][1] if settled else None

    def renew(self, *claims: Claim, lease_: timedelta = LEASE) -> set[UUID]:
        with self.database.write() as connection:
            pairs = [(one.run_id, one.token) for one in claims]
            return lease.renew(connection, pairs, lease=lease_, now=self.now)

    def cancel(self, run_id: UUID, *, reason: str | None = None) -> RunState | None:
        with self.database.write() as connection:
            return cancel.cancel_runs(connection, [run_id], reason=reason, now=self.now).states.get(run_id)

    def reopen(self, *run_ids: UUID) -> list[Freed]:
        with self.database.write() as connection:
            return replay.reopen(connection, run_ids, now=self.now)

    def rescue(self, *, limit: int = 500) -> list[RecordedAttempt]:
        with self.database.write() as connection:
            return sweep.rescue(connection, poison_after=self.poison_after, limit=limit, now=self.now)

    def end_dead_attempts(
        self, worker: str, *, performing: Sequence[UUID] = (), ended: Sequence[UUID] = (), limit: int = 500
    ) -> tuple[list[RecordedAttempt], list[Freed]]:
        with self.database.write() as connection:
            return sweep.end_dead_attempts(
                connection,
                worker,
                performing=performing,
                ended=ended,
                why="signal 9",
                poison_after=self.poison_after,
                limit=limit,
                now=self.now,
            )

    def expire(self, *, limit: int = 500) -> int:
        with self.database.write() as connection:
            return len(sweep.expire(connection, limit=limit, now=self.now))

    def dead_letter_unknown(self, *known: str, wait: timedelta = 60 * SECOND) -> int:
        with self.database.write() as connection:
            return len(sweep.dead_letter_unknown_kinds(connection, known, wait=wait, now=self.now))

    def pause(self, queue: str, *, until: datetime | None = None) -> None:
        with self.database.write() as connection:
            connection.execute(JobQueue.__table__.insert().values(name=queue, paused_at=self.now, paused_until=until))

    def run(self, run_id: UUID) -> RunRecord:
        with self.database.read() as connection:
            found = find.find_run(connection, run_id)
        assert found is not None
        return found

    def attempts(self, run_id: UUID) -> list[AttemptRecord]:
        with self.database.read() as connection:
            return find.list_attempts(connection, run_id)

    def change(self, run_id: UUID, **values: Any) -> None:
        """Write columns as no verb would."""
        with self.database.write() as connection:
            connection.execute(update(JobRun).where(JobRun.id == run_id).values(**values))

    def column(self, run_id: UUID, name: str) -> Any:
        with self.database.read() as connection:
            return connection.scalar(select(getattr(JobRun, name)).where(JobRun.id == run_id))

    @contextmanager
    def crash_before_commit(self) -> Iterator[Connection]:
        """A transaction whose process dies before it commits."""
        try:
            with self.database.write() as connection:
                yield connection
                raise _Crash
        except _Crash:
            pass

    def wipe(self) -> None:
        tables = {table.name: table for table in Base.metadata.sorted_tables[::-1]}
        # One question for all tables, because a statement per table takes longer than most tests of the verbs.
        filled = union_all(
            *(select(literal(name)).where(select(1).select_from(tables[name]).exists()) for name in tables)
        )
        with self.database.write() as connection:
            for name in connection.scalars(filled).all():
                connection.execute(delete(tables[name]))

    def bring(self, state: RunState, **given: Any) -> tuple[UUID, Claim]:
        """A run in ``state`` that has been claimed once; with that claim, in force exactly when it is running."""
        held = self.start(**given)
        match state:
            case RunState.QUEUED:
                self.end(held, Outcome.SNOOZED)
            case RunState.SUCCEEDED:
                self.end(held, Outcome.SUCCEEDED)
            case RunState.DEAD:
                self.end(held, Outcome.GAVE_UP, cause=Cause.GAVE_UP)
            case RunState.CANCELLED:
                self.end(held, Outcome.CANCELLED)
        assert self.run(held.run_id).state is state
        return held.run_id, held


def is_plain_kinds(kinds: Sequence[str]) -> bool:
    """Whether a claim of these kinds is one statement."""
    return (limited_kinds.keys() | guarded_kinds.keys() | fair_kinds.keys()).isdisjoint(kinds)


class _Crash(Exception):
    """Stands for the death of the process."""


def new_run(
    *,
    kind: str = "Mail",
    queue: str = "default",
    arguments: Any = None,
    max_attempts: int = 3,
    **given: Any,
) -> NewRun:
    values = {"id": new_run_id(), "arguments": json.dumps(arguments or {}), **given}
    return NewRun(kind=kind, queue=queue, max_attempts=max_attempts, **values)


def attempt_result(
    held: Claim,
    outcome: Outcome,
    *,
    delay: float = 0.0,
    cause: Cause | None = None,
    result: Any = None,
    failure: Failure | None = None,
    ago: float = 0.0,
    elapsed: float = 0.0,
) -> AttemptResult:
    """How an attempt ended ``ago`` seconds before the book's now, after ``elapsed``."""
    return AttemptResult(
        claim=held,
        outcome=outcome,
        elapsed_seconds=elapsed,
        ended_monotonic=-ago,
        delay_seconds=delay,
        cause=cause,
        result=json.dumps(result) if result is not None else None,
        failure=failure,
    )
