"""Random histories of batches, gathers, parents, waits and signals, with crashes, cancels and replays in between.

Whatever happens: a batch always ends, each callback comes once a generation, a child is made once, and no signal is
lost.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import jobs
from jobs import Job, RunState
from jobs.database.direct_statements import DirectConnection
from jobs.errors import ChildDead
from jobs.ledger.batches.find import broken_counts, list_batches
from jobs.ledger.runs.replay import reopen
from jobs.ledger.runs.settle import settle
from jobs.ledger.runs.settle_members import settle_counted, settle_members
from jobs.ledger.runs.settle_plain import is_plain
from jobs.testing import Ledger

HELD, FINAL = ("signal", "children", "parents"), (RunState.SUCCEEDED, RunState.DEAD, RunState.CANCELLED)


class FlowLeaf(Job):
    def perform(self) -> int:
        return 1


class FlowTold(Job):
    told: ClassVar[list[tuple[UUID, str, int]]] = []
    what: str

    def perform(self) -> None:
        batch = self.run.batch
        self.told.append((batch.id, self.what, batch.generation))


class FlowTree(Job):
    waits: bool
    width: int

    def perform(self) -> Any:
        answer = self.run.wait_for("answer") if self.waits else None
        try:
            leaves = self.run.gather("leaves", [FlowLeaf() for _ in range(self.width)], on_dead="collect")
        except ChildDead:  # pragma: no cover
            leaves = []
        return [answer, len(leaves)]


class FlowAfter(Job):
    def perform(self) -> int:
        return len(self.run.parents())


class WorkflowMachine(RuleBasedStateMachine):
    url: ClassVar[str]
    fresh: ClassVar[Any]

    def __init__(self) -> None:
        super().__init__()
        FlowTold.told = []
        self.ledger = Ledger(self.fresh(), lock_timeout="2s").__enter__()
        self.signals: dict[UUID, Any] = {}
        self.batches: list[UUID] = []
        self.trees: dict[UUID, int] = {}

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            self.ledger.__exit__(None, None, None)

    def some(self, *states: RunState, held: bool | None = None) -> list[Any]:
        return [
            run
            for run in self.ledger.runs()
            if run.state in states and (held is None or (run.hold is not None) == held)
        ]

    @rule(members=st.integers(0, 3), inner=st.booleans())
    def batch(self, members: int, inner: bool) -> None:
        callbacks: dict[str, Any] = {f"on_{what}": [FlowTold(what=what)] for what in ("success", "dead", "end")}
        with jobs.batch("flow", **callbacks) as made:
            made.add_many(FlowLeaf() for _ in range(members))
            if inner:
                with made.batch("inner", **callbacks) as below:
                    below.add(FlowTree(waits=False, width=2))
                self.batches.append(below.id)
        self.batches.append(made.id)

    @rule(waits=st.booleans(), width=st.integers(0, 4))
    def tree(self, waits: bool, width: int) -> None:
        self.trees[FlowTree(waits=waits, width=width).enqueue().id] = width

    @rule(data=st.data(), policy=st.sampled_from(["cancel", "run", "hold"]))
    def after(self, data: st.DataObject, policy: Any) -> None:
        parents = data.draw(st.lists(st.sampled_from(self.ledger.runs()), max_size=3)) if self.ledger.runs() else []
        FlowAfter().enqueue(after=parents, on_parent_dead=policy)

    @rule(data=st.data(), how=st.sampled_from(["well", "well", "well", "gives up", "crashes", "crashes late"]))
    def perform(self, data: st.DataObject, how: str) -> None:
        due = [run for run in self.some(RunState.QUEUED, held=False) if run.run_at <= self.ledger.clock.now()]
        if not due:
            return
        run = data.draw(st.sampled_from(due))
        kind: Any = {one.options.kind: one for one in (FlowLeaf, FlowTold, FlowTree, FlowAfter)}[run.kind]
        # Callbacks always work, so that what they say can be counted.
        if how == "gives up" and kind is not FlowTold:
            self.ledger.fail(kind, jobs.GiveUp("no"))
        elif how.startswith("crashes") and kind is not FlowTold:
            self.ledger.crash(kind, late=how == "crashes late")
        self.ledger.perform(run.id)

    @rule(data=st.data(), payload=st.integers())
    def signal(self, data: st.DataObject, payload: int) -> None:
        live = [run for run in self.some(RunState.QUEUED) if run.kind == "FlowTree"]
        if live:
            run = data.draw(st.sampled_from(live))
            assert jobs.signal(run.id, "answer", payload).is_first == (run.id not in self.signals)
            self.signals.setdefault(run.id, payload)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        live = [run for run in self.some(RunState.QUEUED) if run.kind != "FlowTold"]
        if live:
            jobs.cancel(data.draw(st.sampled_from(live)).id)

    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        ended = self.some(RunState.DEAD, RunState.CANCELLED)
        if ended:
            chosen = data.draw(st.lists(st.sampled_from(ended), min_size=1, max_size=3))
            with self.ledger.app.database.write() as connection:
                reopen(connection, [run.id for run in chosen])

    @invariant()
    def the_counts_are_true(self) -> None:
        with self.ledger.app.database.read() as connection:
            assert list(broken_counts(connection)) == []

    def settle(self) -> None:
        """Let everything end, and check what must hold then."""
        for run in self.some(RunState.QUEUED):
            if run.kind == "FlowTree" and run.id not in self.signals:
                jobs.signal(run.id, "answer", "last")
                self.signals[run.id] = "last"
        self.ledger.drain(advance=jobs.Retry().cap * 3)
        left = self.some(RunState.QUEUED, RunState.RUNNING)
        assert {run.held_on for run in left} <= {"parents"}, left
        with self.ledger.app.database.read() as connection:
            assert list_batches(connection, is_running=True) == []
        for run in self.ledger.runs(FlowTree):
            if run.state is RunState.SUCCEEDED:
                width = self.trees.get(run.id, 2)
                assert run.result[1] == width
                if run.arguments["waits"]:
                    assert run.result[0] == self.signals[run.id]
        children = Counter(run.parent_id for run in self.ledger.runs(FlowLeaf) if run.parent_id in self.trees)
        assert all(count == self.trees[tree] for tree, count in children.items())
        counted = Counter(FlowTold.told)
        assert all(count == 1 for count in counted.values()), counted
        for batch_id in self.batches:
            ends = sorted(generation for told, what, generation in FlowTold.told if (told, what) == (batch_id, "end"))
            assert ends == list(range(1, jobs.find_batch(batch_id).generation + 1))


def settle_as_a_worker_does(connection: Any, endings: Any, *, worker: str, poison_after: int, monotonic: float) -> Any:
    """Plain ends of members by the statement for them, where the dialect can; the others with care."""
    plain = [one for one in endings if is_plain(one)] if connection.dialect.name == "postgresql" else []
    done = []
    if plain:
        done = settle_counted(DirectConnection.inside(connection), plain, worker=worker, monotonic=monotonic)
        left = [one for one in plain if all(one is not settled for settled, _ in done)]
        done += settle_members(connection, left, worker=worker, monotonic=monotonic)
    rest = [one for one in endings if all(one is not settled for settled, _ in done)]
    settled, refused = settle(connection, rest, worker=worker, poison_after=poison_after, monotonic=monotonic)
    return done + settled, refused


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_whatever_happens_workflows_end_and_lose_nothing(
    dialect: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr("jobs.testing.attempts.settle", settle_as_a_worker_does)

    def fresh() -> str | None:
        if dialect == "sqlite":
            return None
        if made:
            server = request.getfixturevalue("pg_server")
            server.drop_database(made.pop())
        server = request.getfixturevalue("pg_server")
        made.append(server.create_database(template=request.getfixturevalue("migrated_template")))
        return made[-1]

    WorkflowMachine.fresh = staticmethod(fresh)
    steps = 25
    run_state_machine_as_test(
        WorkflowMachine,
        settings=settings(
            max_examples=4 if dialect == "sqlite" else 2, stateful_step_count=steps, deadline=None, database=None,
            suppress_health_check=list(HealthCheck), phases=[Phase.generate], derandomize=True,
        ),
    )  # fmt: skip
