"""What may happen to runs in the state machine besides: enqueue, cancel, replay, time, and the upkeep that rescues."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from jobs.ledger.admission import keys
from jobs.states import FINAL, Cause, Outcome, RunState
from tests.book import new_run
from tests.property.expected import Expected
from tests.property.machine_state import CRASH, KEY, NO_CRASH, WORKERS
from tests.property.worker_rules import WorkerRules


class LedgerRules(WorkerRules):
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
