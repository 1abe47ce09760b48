"""What the state machine knows: the model's runs, what workers hold, and how one of them ends an attempt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from sqlalchemy import Column, Connection, MetaData, Table, Uuid, delete, insert

from jobs.database.engine import Database
from jobs.ledger.records import AttemptResult, Claim
from jobs.ledger.runs import give_back, settle
from jobs.states import FINAL, RunState
from tests.book import Book
from tests.property.expected import Expected

EFFECTS = Table("effects", MetaData(), Column("run_id", Uuid, nullable=False))
"""The rows of the application's own table: one for each time that a job's work took effect."""

WORKERS = ("w1", "w2", "w3")
KEY = "order:1"
NO_CRASH, BEFORE, AFTER = "no crash", "crash before the commit", "crash after the commit"
CRASH = st.sampled_from([NO_CRASH, NO_CRASH, NO_CRASH, BEFORE, AFTER])


class Undone(Exception):
    """The job's transaction was rolled back: the lease is lost, or the run is cancelled."""


class MachineState(RuleBasedStateMachine):
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

    def holder_of_key(self) -> Expected | None:
        return next((run for run in self.runs.values() if run.key is not None and run.state not in FINAL), None)

    def held_by(self, worker: str) -> list[Claim]:
        return [one for one in self.held if self.of[one.token] == worker]

    def fenced(self) -> list[Claim]:
        return [one for one in self.held if self.runs[one.run_id].token not in (None, one.token)]

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
            raise Undone

    def _expect_end(self, end: AttemptResult) -> None:
        run = self.runs[end.claim.run_id]
        run.end(end.outcome, end.cause, end.delay_seconds, self.now, self.book.poison_after)

    def _let_go(self, end: AttemptResult, crash: str) -> None:
        # A process that died around the commit does not know the outcome: it may send the result again.
        if crash == NO_CRASH and end.claim in self.held:
            self.held.remove(end.claim)
