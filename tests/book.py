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
from jobs.ledger.admission import insert
from jobs.ledger.limits.reassign import reassign
from jobs.ledger.queries import find
from jobs.ledger.records import AttemptResult, Claim, Failure, Freed, NewRun, RecordedAttempt
from jobs.ledger.run_records import AttemptRecord, RunRecord
from jobs.ledger.runs import cancel, give_back, lease, replay, settle, sweep
from jobs.states import Cause, Outcome, RunState
from tests import worker_verbs
from tests.worker_verbs import Given

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
        given: Given = {"kinds": kinds, "worker": worker, "lease": lease, "now": self.now}
        return worker_verbs.claim_ids(self.database, run_ids, given)

    def claim_due(
        self,
        count: int = 10,
        *,
        queue: str = "default",
        worker: str = "w1",
        kinds: Sequence[str] = ("Mail",),
        lease: timedelta = LEASE,
    ) -> list[Claim]:
        given: Given = {"kinds": kinds, "worker": worker, "lease": lease, "now": self.now}
        return worker_verbs.claim_due(self.database, queue, count, given)

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
        done = worker_verbs.settle_plain_successes(self.database, endings, worker=worker, now=self.now)
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
