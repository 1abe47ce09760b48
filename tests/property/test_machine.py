"""A state machine over the verbs: random histories of three workers and two runs, checked against a model.

After every step the ledger must say what the model says, and hold the invariants. Workers crash before and
after each commit, lose their leases and come back as zombies; time is stepped by the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Column, Connection, MetaData, Table, Uuid, delete, event, insert, select

from jobs.database.engine import Database
from jobs.database.models import JobAttempt, JobRun
from jobs.ledger.admission import keys
from jobs.ledger.records import AttemptResult, Claim
from jobs.ledger.runs import claim, give_back, lease, settle
from jobs.states import CHARGED, CRASHES, FINAL, Cause, Outcome, RunState
from tests.book import LEASE, Book, attempt_result, new_run

EFFECTS = Table("effects", MetaData(), Column("run_id", Uuid, nullable=False))
"""The rows of the application's own table: one for each time that a job's work took effect."""

WORKERS = ("w1", "w2", "w3")
KEY = "order:1"
NO_CRASH, BEFORE, AFTER = "no crash", "crash before the commit", "crash after the commit"
CRASH = st.sampled_from([NO_CRASH, NO_CRASH, NO_CRASH, BEFORE, AFTER])


@dataclass
class Expected:
    """A run as the model has it."""

    id: UUID
    max_attempts: int
    run_at: datetime
    expires_at: datetime | None
    priority: int
    state: RunState = RunState.QUEUED
    cause: Cause | None = None
    attempt: int = 0
    charged: int = 0
    crashes: int = 0
    abandonments: int = 0
    token: UUID | None = None
    lease_until: datetime | None = None
    worker: str | None = None
    is_cancelled: bool = False
    attempts: list[tuple[int, UUID, Outcome, Outcome | None]] = field(default_factory=list)
    effects: int = 0
    key: str | None = None

    def is_claimable(self, now: datetime) -> bool:
        lives = self.expires_at is None or self.expires_at > now or self.attempt > 0
        return self.state is RunState.QUEUED and self.run_at <= now and lives

    def end(self, outcome: Outcome, cause: Cause | None, delay: float, now: datetime, poison_after: int) -> None:
        """The rule of DESIGN §5, said once more and otherwise than in SQL."""
        self.charged += outcome in CHARGED
        self.crashes += outcome in CRASHES
        self.abandonments += outcome is Outcome.ABANDONED
        is_poison = (outcome in CRASHES and self.crashes >= poison_after) or (
            outcome is Outcome.ABANDONED and self.abandonments >= poison_after
        )
        state, why = RunState.QUEUED, None
        if self.is_cancelled or outcome is Outcome.CANCELLED:
            state = RunState.CANCELLED
        elif outcome is Outcome.SUCCEEDED:
            state = RunState.SUCCEEDED
        elif is_poison:
            state, why = RunState.DEAD, Cause.POISON
        elif cause is not None:
            state, why = RunState.DEAD, cause
        elif outcome in CHARGED and self.charged >= self.max_attempts:
            state, why = RunState.DEAD, Cause.EXHAUSTED
        assert self.token is not None
        if state is RunState.CANCELLED and outcome is Outcome.SUCCEEDED:
            outcome = Outcome.CANCELLED
        self.attempts.append((self.attempt, self.token, outcome, None))
        self.state, self.cause, self.token, self.lease_until = state, why, None, None
        if state is RunState.QUEUED:
            self.run_at = now + timedelta(seconds=delay)

    def refuse(self, token: UUID, outcome: Outcome) -> None:
        for place, (number, of, was, refused) in enumerate(self.attempts):
            if of == token and refused is None:
                self.attempts[place] = (number, of, was, outcome)

    def give_back(self) -> None:
        self.state = RunState.CANCELLED if self.is_cancelled else RunState.QUEUED
        self.attempt -= 1
        self.token = self.lease_until = self.worker = None


class Machine(RuleBasedStateMachine):
    """Set ``database`` on a subclass."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.book = Book(self.database)
        self.book.wipe()
        with self.database.write() as connection:
            connection.execute(delete(EFFECTS))
        self.runs: dict[UUID, Expected] = {}
        self.held: list[Claim] = []
        self.tokens: set[UUID] = set()
        self.of: dict[UUID, str] = {}
        self.was: dict[UUID, RunState] = {}
        self.replayed: set[UUID] = set()

    @property
    def now(self) -> datetime:
        return self.book.now

    def commit(self, crash: str, do: Callable[[Connection], Any]) -> Any:
        """Do it in a transaction; None when its process died before the commit."""
        if crash == BEFORE:
            with self.book.crash_before_commit() as connection:
                do(connection)
            return None
        with self.database.write() as connection:
            return do(connection)

    def holder(self, data: st.DataObject) -> Claim:
        return data.draw(st.sampled_from(self.held), label="claim")

    def some_run(self, data: st.DataObject) -> Expected:
        return data.draw(st.sampled_from(list(self.runs.values())), label="run")

    # --- what may happen ---

    @initialize()
    def begin(self) -> None:
        self.enqueue(3, 0, None, 0)
        self.claim("w1", 1, False, NO_CRASH)

    @precondition(lambda self: len(self.runs) < 2)
    @rule(
        max_attempts=st.integers(1, 3),
        delay=st.sampled_from([0, 0, 0, 20]),
        expires=st.sampled_from([None, None, 35]),
        priority=st.integers(-1, 1),
    )
    def enqueue(self, max_attempts: int, delay: float, expires: float | None, priority: int) -> None:
        run = new_run(max_attempts=max_attempts, delay_seconds=delay, expires_seconds=expires, priority=priority)
        self.book.insert([run])
        lapse = None if expires is None else self.now + timedelta(seconds=expires)
        due = self.now + timedelta(seconds=delay)
        self.runs[run.id] = Expected(run.id, max_attempts, due, lapse, priority)

    @precondition(lambda self: len(self.runs) < 2 or self.holder_of_key() is not None)
    @rule(max_attempts=st.integers(1, 3), delay=st.sampled_from([0, 0, 20]), replaces=st.booleans(), crash=CRASH)
    def enqueue_with_key(self, max_attempts: int, delay: float, replaces: bool, crash: str) -> None:
        """Both runs may have one key: while a live one holds it, it answers; a waiting one may be replaced."""
        holder = self.holder_of_key()
        rewrites = replaces and holder is not None and holder.state is RunState.QUEUED
        run = new_run(
            max_attempts=max_attempts,
            delay_seconds=delay,
            key=KEY,
            arguments_hash="same",
            on_conflict="replace" if rewrites else "keep",
        )
        answers = self.commit(crash, lambda connection: keys.admit(connection, [run], now=self.now))
        if answers is None:
            return
        assert [(one.run.id, one.created) for one in answers] == [(holder.id, False) if holder else (run.id, True)]
        due = self.now + timedelta(seconds=delay)
        if holder is None:
            self.runs[run.id] = Expected(run.id, max_attempts, due, None, 0, key=KEY)
        elif rewrites:
            holder.max_attempts, holder.run_at = max_attempts, due
            holder.charged = holder.crashes = holder.abandonments = 0

    def holder_of_key(self) -> Expected | None:
        return next((run for run in self.runs.values() if run.key is not None and run.state not in FINAL), None)

    @rule(worker=st.sampled_from(WORKERS), count=st.integers(1, 2), by_id=st.booleans(), crash=CRASH)
    def claim(self, worker: str, count: int, by_id: bool, crash: str) -> None:
        expected = sorted(
            (run for run in self.runs.values() if run.is_claimable(self.now)),
            key=lambda run: (run.priority, run.run_at, run.id),
        )
        given: dict[str, Any] = {"kinds": ["Mail"], "worker": worker, "lease": LEASE, "now": self.now}
        if by_id:
            claims = self.commit(crash, lambda connection: claim.claim(connection, list(self.runs), **given))
        else:
            expected = expected[:count]
            claims = self.commit(crash, lambda c: claim.claim_due(c, "default", count=count, **given))
        if claims is None:
            return
        assert [one.run_id for one in claims] == [run.id for run in expected]
        for one in claims:
            run = self.runs[one.run_id]
            run.state, run.worker, run.token = RunState.RUNNING, worker, one.token
            run.attempt += 1
            run.lease_until = self.now + LEASE
            assert one.token not in self.tokens
            assert (one.attempt, one.charged, one.max_attempts) == (run.attempt, run.charged, run.max_attempts)
            self.tokens.add(one.token)
            self.of[one.token] = worker
        if crash != AFTER:
            self.held += claims

    @precondition(lambda self: self.held)
    @rule(
        data=st.data(),
        outcome=st.sampled_from(sorted(set(Outcome) - {Outcome.SUCCEEDED})),
        cause=st.sampled_from([None, None, None, Cause.GAVE_UP]),
        delay=st.sampled_from([0, 0, 15]),
        crash=CRASH,
    )
    def settle(self, data: st.DataObject, outcome: Outcome, cause: Cause | None, delay: float, crash: str) -> None:
        self._settle(attempt_result(self.holder(data), outcome, cause=cause, delay=delay), crash)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), has_effect=st.booleans(), crash=CRASH)
    def succeed(self, data: st.DataObject, has_effect: bool, crash: str) -> None:
        """As the worker does: with an effect the success is recorded in the effect's own transaction."""
        end = attempt_result(self.holder(data), Outcome.SUCCEEDED, result=1)
        if not has_effect:
            self._settle(end, crash)
            return
        run = self.runs[end.claim.run_id]
        is_ours = run.token == end.claim.token and not run.is_cancelled
        try:
            self.commit(crash, lambda connection: self._with_effect(connection, end))
        except _Undone:
            assert not is_ours
            self._settle(end, crash)
            return
        if crash != BEFORE:
            assert is_ours
            run.effects += 1
            self._expect_end(end)
        self._let_go(end, crash)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), crash=CRASH)
    def give_back(self, data: st.DataObject, crash: str) -> None:
        self._give_back(self.holder(data), crash)

    def _give_back(self, held: Claim, crash: str) -> None:
        run = self.runs[held.run_id]
        freed = self.commit(crash, lambda c: give_back.give_back(c, [(held.run_id, held.token)], now=self.now))
        if freed is None:
            return
        was_ours = run.token == held.token
        if was_ours:
            run.give_back()
        assert [one.run_id for one in freed] == ([run.id] if was_ours and not run.is_cancelled else [])
        if crash != AFTER:
            self.held.remove(held)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        some = data.draw(st.lists(st.sampled_from(self.held), min_size=1, unique=True), label="claims")
        expected = {one.token for one in some if self.runs[one.run_id].token == one.token}
        assert self.book.renew(*some) == expected
        for run in self.runs.values():
            if run.token in expected:
                run.lease_until = self.now + LEASE

    @precondition(lambda self: self.fenced())
    @rule(data=st.data(), does=st.sampled_from(["succeeds", "fails", "gives back", "renews"]))
    def zombie(self, data: st.DataObject, does: str) -> None:
        """A worker that lost a run, which another now performs, does not know it yet."""
        held = data.draw(st.sampled_from(self.fenced()), label="claim")
        if does == "gives back":
            self._give_back(held, NO_CRASH)
        elif does == "renews":
            assert self.book.renew(held) == set()
        else:
            self._settle(attempt_result(held, Outcome.SUCCEEDED if does == "succeeds" else Outcome.FAILED), NO_CRASH)

    def fenced(self) -> list[Claim]:
        return [one for one in self.held if self.runs[one.run_id].token not in (None, one.token)]

    @rule(seconds=st.sampled_from([1, 16, 31]))
    def time_passes(self, seconds: float) -> None:
        self.book.step(seconds)

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        run = self.some_run(data)
        was = run.state
        if was not in FINAL:
            run.is_cancelled = True
        if was is RunState.QUEUED:
            run.state = RunState.CANCELLED
        assert self.book.cancel(run.id) is (None if was in FINAL else run.state)

    @precondition(lambda self: any(run.state in FINAL for run in self.runs.values()))
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        run = self.some_run(data)
        # Its key is its own again, unless the other run has it now.
        is_held = run.key is not None and self.holder_of_key() is not None
        moves = run.state in (RunState.DEAD, RunState.CANCELLED) and not is_held
        if moves:
            self.replayed.add(run.id)
            run.state, run.cause, run.is_cancelled, run.expires_at = RunState.QUEUED, None, False, None
            run.charged = run.crashes = run.abandonments = 0
            run.run_at, run.worker = self.now, None
        assert bool(self.book.reopen(run.id)) is moves

    @precondition(lambda self: any(run.state is RunState.RUNNING for run in self.runs.values()))
    @rule(worker=st.sampled_from(WORKERS))
    def takeover(self, worker: str) -> None:
        """Leases expire and another worker gets the runs: the workers that held them are zombies now."""
        self.book.step(31)
        self.rescue()
        self.claim(worker, 2, False, NO_CRASH)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def claimed_again(self, data: st.DataObject) -> None:
        """A worker freezes, loses a run, thaws, and claims the same run again: it has two attempts of it now."""
        lost = self.holder(data)
        self.book.step(31)
        self.rescue()
        worker = next((of for of in WORKERS if lost in self.held_by(of)), WORKERS[0])
        self.claim(worker, 2, data.draw(st.booleans(), label="by id"), NO_CRASH)

    @precondition(lambda self: self.held)
    @rule(worker=st.sampled_from(WORKERS))
    def hears_cancellations(self, worker: str) -> None:
        """A worker renews everything that it holds, lost or not: the answer names no token that it has lost."""
        pairs = [(one.run_id, one.token) for one in self.held_by(worker)]
        with self.database.read() as connection:
            told = lease.cancelled_among(connection, pairs)
        assert told == {
            token for run_id, token in pairs if self.runs[run_id].is_cancelled and self.runs[run_id].token == token
        }

    def held_by(self, worker: str) -> list[Claim]:
        return [one for one in self.held if self.of[one.token] == worker]

    @rule()
    def rescue(self) -> None:
        lost = {run.id for run in self.runs.values() if run.lease_until is not None and run.lease_until < self.now}
        assert {one.run_id for one in self.book.rescue()} == lost
        for run_id in lost:
            self.runs[run_id].end(Outcome.ABANDONED, None, 0, self.now, self.book.poison_after)

    @rule(worker=st.sampled_from(WORKERS), data=st.data())
    def process_dies(self, worker: str, data: st.DataObject) -> None:
        """A process dies; another ends what it held. A frozen one may still come back, as a zombie."""
        of_worker = [run for run in self.runs.values() if run.state is RunState.RUNNING and run.worker == worker]
        fates = {run.id: data.draw(st.sampled_from(["performing", "ended", "held"]), label="fate") for run in of_worker}
        performing = [run_id for run_id, fate in fates.items() if fate == "performing"]
        ended = [run_id for run_id, fate in fates.items() if fate == "ended"]
        # It may still perform runs that it has lost. That must not affect the attempts that it holds.
        zombies = [one.token for one in self.held_by(worker) if self.runs[one.run_id].token != one.token]
        marked = [self.runs[run_id].token for run_id in performing]
        done = [self.runs[run_id].token for run_id in ended]
        settled, freed = self.book.end_dead_attempts(worker, performing=[*marked, *zombies], ended=done)
        assert {one.run_id for one in settled} == {*performing, *ended}
        for run in of_worker:
            if fates[run.id] == "held":
                run.give_back()
            else:
                crashed = fates[run.id] == "performing"
                delay = 2.0**run.crashes if crashed else 0.0
                outcome = Outcome.CRASHED if crashed else Outcome.RELEASED
                run.end(outcome, None, delay, self.now, self.book.poison_after)
        assert {one.run_id for one in freed} == {
            run.id for run in of_worker if fates[run.id] == "held" and run.state is RunState.QUEUED
        }
        if data.draw(st.booleans(), label="for good"):
            self.held = [one for one in self.held if one.run_id not in fates]

    @rule()
    def expire(self) -> None:
        late = [
            run
            for run in self.runs.values()
            if run.state is RunState.QUEUED and run.attempt == 0 and run.expires_at and run.expires_at <= self.now
        ]
        assert self.book.expire() == len(late)
        for run in late:
            run.state, run.cause = RunState.DEAD, Cause.EXPIRED

    # --- what must hold ---

    @invariant()
    def the_ledger_says_what_the_model_says(self) -> None:
        with self.database.read() as connection:
            rows = {row.id: row for row in connection.execute(select(JobRun.__table__))}
            tried = list(connection.execute(select(JobAttempt.__table__).order_by(JobAttempt.attempt)))
            effects = list(connection.scalars(select(EFFECTS.c.run_id)))
        assert rows.keys() == self.runs.keys()
        live = [row.id for row in rows.values() if row.key == KEY and row.state not in FINAL]
        assert len(live) <= 1, "one live run a key"
        for run in self.runs.values():
            row = rows[run.id]
            is_running = run.state is RunState.RUNNING
            assert {
                "state": row.state,
                "cause": row.cause,
                "attempt": row.attempt,
                "charged": row.charged,
                "crashes": row.crashes,
                "abandonments": row.abandonments,
                "token": row.token,
                "lease_until": row.lease_until,
                "run_at": row.run_at,
                "is_cancelled": row.cancel_requested_at is not None,
            } == {
                "state": run.state,
                "cause": run.cause,
                "attempt": run.attempt,
                "charged": run.charged,
                "crashes": run.crashes,
                "abandonments": run.abandonments,
                "token": run.token,
                "lease_until": run.lease_until,
                "run_at": run.run_at,
                "is_cancelled": run.is_cancelled,
            }
            attempts = [
                (one.attempt, one.token, Outcome(one.outcome), one.refused_outcome and Outcome(one.refused_outcome))
                for one in tried
                if one.run_id == run.id
            ]
            assert attempts == run.attempts
            # The invariants of the design, of what the ledger says.
            assert [one[0] for one in attempts] == list(range(1, row.attempt + 1 - is_running)), "attempts are gapless"
            assert row.charged <= row.max_attempts, "no more charged attempts than the budget"
            assert effects.count(run.id) == run.effects <= 1, "applied at most once"
            succeeded = [one for one in attempts if one[2] is Outcome.SUCCEEDED]
            assert len(succeeded) == (row.state == RunState.SUCCEEDED), "succeeded once, and is succeeded"
            if row.state != RunState.SUCCEEDED:
                assert run.id not in effects, "no effect without success"
            was = self.was.get(run.id)
            if was in FINAL and run.id not in self.replayed:
                assert row.state == was, "final but for replay"
            self.was[run.id] = run.state
        self.replayed.clear()

    def teardown(self) -> None:
        """From every state a final one can be reached without luck: time, upkeep and one worker are enough."""
        for _ in range(20):
            if all(run.state in FINAL for run in map(self.book.run, self.runs)):
                return
            self.book.step(60)
            self.book.rescue()
            self.book.expire()
            self.book.settle(*(attempt_result(one, Outcome.FAILED) for one in self.book.claim_due()))
        raise AssertionError("a run reached no final state")

    # --- how a worker ends an attempt ---

    def _settle(self, end: AttemptResult, crash: str) -> None:
        is_ours = self.runs[end.claim.run_id].token == end.claim.token
        told = self.commit(
            crash,
            lambda c: settle.settle(c, [end], worker="w", poison_after=self.book.poison_after, monotonic=0.0,
                                    now=self.now),
        )  # fmt: skip
        if told is not None:
            settled, refused = told
            assert (len(settled), len(refused)) == ((1, 0) if is_ours else (0, 1))
            if is_ours:
                self._expect_end(end)
            else:
                self.runs[end.claim.run_id].refuse(end.claim.token, end.outcome)
        self._let_go(end, crash)

    def _with_effect(self, connection: Connection, end: AttemptResult) -> None:
        connection.execute(insert(EFFECTS).values(run_id=end.claim.run_id))
        settled, _ = settle.settle(
            connection, [end], worker="w", poison_after=self.book.poison_after, monotonic=0.0, now=self.now
        )
        if not settled or settled[0][1].state is not RunState.SUCCEEDED:
            raise _Undone

    def _expect_end(self, end: AttemptResult) -> None:
        run = self.runs[end.claim.run_id]
        run.end(end.outcome, end.cause, end.delay_seconds, self.now, self.book.poison_after)

    def _let_go(self, end: AttemptResult, crash: str) -> None:
        # A process that died around the commit does not know the outcome: it may send the result again.
        if crash == NO_CRASH and end.claim in self.held:
            self.held.remove(end.claim)


class _Undone(Exception):
    """The job's transaction was rolled back: the lease is lost, or the run is cancelled."""


@pytest.fixture
def machine(database: Database) -> type[Machine]:
    with database.write() as connection:
        EFFECTS.create(connection)
    if database.dialect == "sqlite":
        # Power cuts are not tested here, and each step is a commit.
        event.listen(database.engine, "connect", lambda raw, record: raw.execute("PRAGMA synchronous=OFF"))
        database.engine.dispose()
    return type("Machine", (Machine,), {"database": database})


def run_machine(machine: type[Machine], *, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
            print_blob=True,
        ),
    )


def test_the_ledger_keeps_its_invariants_through_random_histories(machine: type[Machine]) -> None:
    examples = 100 if machine.database.dialect == "sqlite" else 15
    run_machine(machine, examples=examples, steps=40)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_ledger_keeps_its_invariants_through_many_long_histories(machine: type[Machine]) -> None:
    run_machine(machine, examples=2000 if machine.database.dialect == "sqlite" else 500, steps=60)
