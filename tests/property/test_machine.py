"""A state machine over the verbs: random histories of three workers and two runs, checked against a model.

After every step the ledger must say what the model says, and hold the invariants. Workers crash before and
after each commit, lose their leases and come back as zombies; time is stepped by the machine.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import initialize, invariant, run_state_machine_as_test
from sqlalchemy import event, select

from jobs.database.engine import Database
from jobs.database.models import JobAttempt, JobRun
from jobs.states import FINAL, Outcome, RunState
from tests.book import attempt_result
from tests.faults.load import selects_full
from tests.property.ledger_rules import LedgerRules
from tests.property.machine_state import EFFECTS, KEY, NO_CRASH


class Machine(LedgerRules):
    """The rules, and what must hold after each of them."""

    @initialize()
    def begin(self) -> None:
        self.enqueue(3, 0, None, 0)
        self.claim("w1", 1, False, NO_CRASH)

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


@pytest.mark.faults
@pytest.mark.short
def test_the_ledger_keeps_its_invariants_through_random_histories(
    machine: type[Machine], request: pytest.FixtureRequest
) -> None:
    on_sqlite = 100 if selects_full(request.config.option.markexpr) else 50
    run_machine(machine, examples=on_sqlite if machine.database.dialect == "sqlite" else 15, steps=40)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_ledger_keeps_its_invariants_through_many_long_histories(machine: type[Machine]) -> None:
    run_machine(machine, examples=2000 if machine.database.dialect == "sqlite" else 500, steps=60)
