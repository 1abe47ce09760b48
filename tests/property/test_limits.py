"""A state machine over the verbs with limits: histories of workers that crash, freeze and come back as zombies.

At every moment no key has more live leases than its limit, no run is parked although there is room, parking leaves no
attempt, and within a priority a key's runs start in the order in which they were due. No span has more starts than a
rate allows, and the slot of each run that is parked on the rate comes soon. While a breaker is open, one canary of it
starts when its time has come and nothing else; while it is closed, nothing is parked on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import Connection, event, func, select

from jobs import Breaker, Job, Limit, Rate
from jobs.app import App
from jobs.database.engine import Database
from jobs.database.models import JobAttempt, JobRun
from jobs.definition import registry
from jobs.definition.breakers import Slice, guarded_kinds
from jobs.definition.limits import LimitKey, digest_of, limited_kinds, limits_of
from jobs.ledger.breakers.admit import hold_back
from jobs.ledger.breakers.slices import open_slices
from jobs.ledger.breakers.sweep import free_closed, parked_slices
from jobs.ledger.limits.admit import admit
from jobs.ledger.limits.counts import Key, declare, in_use
from jobs.ledger.limits.parked import key_of
from jobs.ledger.limits.reassign import reassign
from jobs.ledger.limits.sweep import drop_stale_slots, parked_keys
from jobs.ledger.records import Claim
from jobs.ledger.runs import give_back
from jobs.ledger.runs.claim import due_candidates
from jobs.states import CHARGED, Outcome, RunState
from tests.book import BOOM, LEASE, Book, attempt_result, new_run

NO_CRASH, BEFORE, AFTER = "no crash", "crash before the commit", "crash after the commit"
CRASH = st.sampled_from([NO_CRASH, NO_CRASH, NO_CRASH, BEFORE, AFTER])
WORKERS = ("w1", "w2")
KINDS = ("LimitedCharge", "LimitedSync", "LimitedCall", "LimitedGuarded")
GUARDED = Slice("LimitedGuarded", "")
TEN_SECONDS = timedelta(seconds=10)
SPACING, BURST = timedelta(seconds=2), 2
"""Of the rate."""
MOST = {"LimitedCharge": 1, "stripe": 2, "limited-both": 2}


class Machine(RuleBasedStateMachine):
    """Set ``database`` on a subclass."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.book = Book(self.database)
        self.book.wipe()
        with self.database.write() as connection:
            declare(connection, limits_of(KINDS), now=self.book.now)
        self.held: list[Claim] = []
        self.ended = 0
        self.given_back: set[UUID] = set()
        self.called: list[datetime] = []

    def commit(self, crash: str, do: Callable[[Connection], Any]) -> Any:
        """Do it in a transaction; None when its process died before the commit."""
        if crash == BEFORE:
            with self.book.crash_before_commit() as connection:
                do(connection)
            return None
        with self.database.write() as connection:
            return do(connection)

    def rows(self) -> dict[UUID, Any]:
        with self.database.read() as connection:
            return {row.id: row for row in connection.execute(select(JobRun.__table__))}

    # --- what may happen ---

    @rule(account=st.sampled_from("ab"), kind=st.sampled_from(KINDS), priority=st.integers(-1, 1))
    def enqueue(self, account: str, kind: str, priority: int) -> None:
        arguments = {"account": account} if kind == "LimitedCharge" else {}
        self.book.step(0.001)
        run = new_run(kind=kind, arguments=arguments, priority=priority, max_attempts=3)
        self.book.insert([run])

    @rule(worker=st.sampled_from(WORKERS), count=st.integers(1, 4), crash=CRASH)
    def claim(self, worker: str, count: int, crash: str) -> None:
        def do(connection: Connection) -> list[Claim]:
            given: dict[str, Any] = {"kinds": KINDS, "worker": worker, "lease": LEASE, "now": self.book.now}
            found = due_candidates(connection, ["default"], count=count, **given)
            passed = hold_back(connection, found, now=self.book.now)
            return admit(connection, passed.claims, worker=worker, lease=LEASE, now=self.book.now).claims

        is_open = self.breaker()
        admitted = self.commit(crash, do)
        if admitted is None:
            return
        if is_open is not None:
            assert sum(one.kind == "LimitedGuarded" for one in admitted) <= int(is_open.is_due)
        for one in admitted:
            self.check_order(one)
        self.called += [self.book.now for one in admitted if one.kind == "LimitedCall"]
        if crash != AFTER:
            self.held += admitted

    def breaker(self) -> Any:
        """How the breaker is open; None: it is closed."""
        with self.database.read() as connection:
            return open_slices(connection, [GUARDED], now=self.book.now).get(GUARDED)

    def check_order(self, one: Claim) -> None:
        if one.run_id in self.given_back or one.kind in ("LimitedCall", "LimitedGuarded"):
            return
        for row in self.rows().values():
            if row.hold != "parked" or row.kind != one.kind or row.id in self.given_back:
                continue
            same_key = row.arguments == self.arguments_of(one)
            if same_key and row.priority == one.priority:
                assert row.due_at >= one.run_at, "an older run of the key is parked while a later one starts"

    def arguments_of(self, one: Claim) -> Any:
        return self.rows()[one.run_id].arguments

    @precondition(lambda self: self.held)
    @rule(data=st.data(), outcome=st.sampled_from(sorted(Outcome)), delay=st.sampled_from([0, 15]), crash=CRASH)
    def settle(self, data: st.DataObject, outcome: Outcome, delay: float, crash: str) -> None:
        held = data.draw(st.sampled_from(self.held), label="claim")
        end = attempt_result(held, outcome, delay=delay, failure=BOOM if outcome in CHARGED else None)
        if crash == BEFORE:
            return
        settled, _ = self.book.settle(end)
        self.ended += len(settled)
        if crash != AFTER:
            self.held.remove(held)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), crash=CRASH)
    def give_back(self, data: st.DataObject, crash: str) -> None:
        held = data.draw(st.sampled_from(self.held), label="claim")
        pairs = [(held.run_id, held.token)]
        if self.commit(crash, lambda connection: give_back.give_back(connection, pairs, now=self.book.now)) is None:
            return
        self.given_back.add(held.run_id)
        if crash != AFTER:
            self.held.remove(held)

    @precondition(lambda self: self.rows())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.book.cancel(data.draw(st.sampled_from(sorted(self.rows())), label="run"))

    @precondition(lambda self: self.rows())
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        self.book.reopen(data.draw(st.sampled_from(sorted(self.rows())), label="run"))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        self.book.renew(*data.draw(st.lists(st.sampled_from(self.held), min_size=1, unique=True), label="claims"))

    @rule(seconds=st.sampled_from([1, 6, 16, 31]))
    def time_passes_and_upkeep_goes_on(self, seconds: float) -> None:
        self.book.step(seconds)
        self.ended += len(self.book.rescue())
        with self.database.write() as connection:
            drop_stale_slots(connection, now=self.book.now)
            reassign(connection, parked_keys(connection), now=self.book.now)
            for one in parked_slices(connection):
                free_closed(connection, one, now=self.book.now)

    @rule(worker=st.sampled_from(WORKERS), data=st.data(), is_for_good=st.booleans())
    def process_dies(self, worker: str, data: st.DataObject, is_for_good: bool) -> None:
        of_worker = [row for row in self.rows().values() if row.state == "running" and row.worker == worker]
        performing = [row.token for row in of_worker if data.draw(st.booleans(), label="performing")]
        settled, freed = self.book.end_dead_attempts(worker, performing=performing)
        self.ended += len(settled)
        self.given_back |= {one.run_id for one in freed}
        if is_for_good:
            dead = {row.id for row in of_worker}
            self.held = [one for one in self.held if one.run_id not in dead]

    # --- what must hold ---

    @invariant()
    def limits_hold_and_no_room_is_left_unused(self) -> None:
        rows = self.rows().values()
        live: Counter[Key] = Counter()
        for row in rows:
            if row.state == RunState.RUNNING and row.lease_until > self.book.now:
                live.update(one[:2] for one in keys(row))
        for key, number in live.items():
            assert number <= MOST[key[0]], f"{number} live leases of {key}"
        parked = {key_of(row.held_on) for row in rows if row.hold == "parked" and row.held_on.startswith("limit:")}
        with self.database.read() as connection:
            used = in_use(connection, parked)
            attempts = connection.scalar(select(func.count()).select_from(JobAttempt))
        for key in parked:
            assert used.get(key, 0) >= MOST[key[0]], f"a run is parked on {key}, which has room"
        assert attempts == self.ended, "parking leaves no attempt"

    @invariant()
    def runs_are_parked_on_a_breaker_only_while_it_is_open(self) -> None:
        parked = [row for row in self.rows().values() if row.hold == "parked" and row.held_on.startswith("breaker:")]
        assert not parked or self.breaker() is not None

    @invariant()
    def the_rate_holds_and_slots_come_soon(self) -> None:
        for i, first in enumerate(self.called):
            for j, last in enumerate(self.called[i:], start=1):
                assert j <= BURST + 0.5 + (last - first) / SPACING, f"{j} starts in {last - first}"
        rows = [row for row in self.rows().values() if row.kind == "LimitedCall"]
        # A slot that a cancelled run or a lost claim leaves unused passes as well.
        longest = SPACING * (len(self.called) + sum(row.attempt + 1 for row in rows))
        for row in rows:
            if row.hold == "parked" and row.held_on.startswith("rate:"):
                assert row.run_at <= self.book.now + longest, "a slot is far away"


def keys(row: Any) -> list[LimitKey]:
    shared = LimitKey("stripe", "", None, 2)
    if row.kind == "LimitedCall":
        return [LimitKey("limited-both", "", None, 2)]
    if row.kind != "LimitedCharge":
        return [shared]
    return [LimitKey("LimitedCharge", digest_of(row.arguments["account"]), None, 1), shared]


@pytest.fixture(scope="module", autouse=True)
def kinds() -> Iterator[None]:
    class LimitedCharge(Job, limits=[Limit(1, by="account"), Limit(2, name="stripe")]):
        account: str

        def perform(self) -> None: ...

    class LimitedSync(Job, limits=Limit(2, name="stripe")):
        def perform(self) -> None: ...

    class LimitedCall(Job, limits=[Limit(2, name="limited-both"), Rate(30, per=timedelta(minutes=1), burst=BURST)]):
        def perform(self) -> None: ...

    class LimitedGuarded(
        Job, limits=Limit(2, name="stripe"), breaker=Breaker(after=2, within=timedelta(minutes=1), open_for=TEN_SECONDS)
    ):
        def perform(self) -> None: ...

    yield
    for kind in KINDS:
        registry.forget(kind)
        limited_kinds.pop(kind)
    guarded_kinds.pop("LimitedGuarded")


def test_no_random_history_exceeds_a_limit_or_leaves_its_room_unused(app: App) -> None:
    class Here(Machine):
        database = app.database

    if app.database.dialect == "sqlite":
        # Power cuts are not tested here, and each step is a commit.
        event.listen(app.database.engine, "connect", lambda raw, record: raw.execute("PRAGMA synchronous=OFF"))
        app.database.engine.dispose()
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=15,
            stateful_step_count=30,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
