"""What workers may do in the state machine: claim, end, give back and renew, also after they have lost a run."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from jobs.ledger.runs import claim, lease
from jobs.states import Cause, Outcome, RunState
from tests.book import LEASE, attempt_result
from tests.property.machine_state import AFTER, BEFORE, CRASH, NO_CRASH, WORKERS, MachineState, Undone


class WorkerRules(MachineState):
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
        except Undone:
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
