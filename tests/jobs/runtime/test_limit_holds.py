"""A job that was told to wait holds a limit or a rate for everybody: its runs are parked until then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from jobs import Job, JobsError, LeaseLost, Limit, Rate, RetryAfter, Snooze
from jobs.definition.limits import limits_of
from jobs.ledger.limits.counts import declare
from jobs.ledger.limits.reports import find_limit
from jobs.ledger.runs import sweep
from jobs.operations.audit.operator import ROLES, Operator
from jobs.operations.control.limits import clear_limit
from jobs.operations.runs.explain import explain
from jobs.testing import Ledger

SECOND = timedelta(seconds=1)
ADA = Operator("ada", ROLES["admin"])


class HoldCall(Job, limits=Rate(6000, per=timedelta(minutes=1), name="hold-api", burst=100)):
    performed: ClassVar[list[int]] = []
    number: int

    def perform(self) -> None:
        if self.number == 429 and self.run.attempt == 1:
            self.run.hold("hold-api", for_=30 * SECOND)
            self.run.hold("hold-api", for_=5 * SECOND)
            raise RetryAfter(30 * SECOND)
        self.performed.append(self.number)


class HoldAccount(Job, limits=Limit(5, by="account")):
    account: str
    what: str = "nothing"

    async def perform(self) -> Any:
        if self.what == "hold" and self.run.attempt == 1:
            await self.run.hold_async("HoldAccount", for_=60 * SECOND, key="a")
            raise Snooze(SECOND)


class HoldBadly(Job):
    how: str

    def perform(self) -> None:
        if self.how == "lost":
            with self.run.app.database.write() as connection:
                sweep.rescue(connection, poison_after=3, now=self.run.app.clock.now() + timedelta(days=400))
        with self.run.transaction() if self.how == "transaction" else self.run.limits_off():
            given: dict[str, tuple[Any, Any, Any]] = {
                "typo": ("hold-apy", SECOND, None),
                "zero": ("hold-api", timedelta(0), None),
                "number": ("hold-api", 30, None),
                "key": ("hold-api", SECOND, "a"),
            }
            name, span, key = given.get(self.how, ("hold-api", SECOND, None))
            self.run.hold(name, for_=span, key=key)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    HoldCall.performed = []
    with Ledger(ledger_url, lock_timeout="2s") as ledger:
        with ledger.app.database.write() as connection:
            declare(connection, limits_of(["HoldCall", "HoldAccount"]))
        yield ledger


def test_a_hold_parks_every_run_of_the_name_until_it_is_over_and_a_shorter_one_changes_nothing(ledger: Ledger) -> None:
    holder = HoldCall(number=429).enqueue().id
    others = [HoldCall(number=n).enqueue().id for n in range(3)]

    ledger.drain()

    parked = [run for run in ledger.runs() if run.id in others]
    assert [(run.hold, run.held_on, run.attempt) for run in parked] == [("parked", "rate:hold-api", 0)] * 3
    found = explain(ledger.app, ADA, str(others[0]))
    assert found.sentence.startswith("It is parked: hold-api is held until ")
    assert found.sentence.endswith(f" by run {str(holder)[-8:]}.")
    ledger.drain(advance=20 * SECOND)
    assert HoldCall.performed == []
    ledger.drain(advance=20 * SECOND)
    assert sorted(HoldCall.performed) == [0, 1, 2, 429]


def test_an_operator_ends_the_hold_of_a_run(ledger: Ledger) -> None:
    HoldCall(number=429).enqueue()
    HoldCall(number=1).enqueue()
    ledger.drain()

    done = clear_limit(ledger.app, ADA, "hold-api", reason="they answer again")

    assert (done.hold_until, done.parked) == (None, 0)
    ledger.drain()
    assert HoldCall.performed == [1]


def test_a_hold_of_a_key_leaves_the_other_keys_alone(ledger: Ledger) -> None:
    HoldAccount(account="b", what="hold").enqueue()
    held, free = HoldAccount(account="a").enqueue().id, HoldAccount(account="b").enqueue().id

    ledger.drain()

    states = {run.id: (run.state, run.hold) for run in ledger.runs()}
    assert states[held] == ("queued", "parked")
    assert states[free] == ("succeeded", None)
    with ledger.app.database.read() as connection:
        whole = find_limit(connection, ("HoldAccount", ""))
    assert whole is not None
    assert whole.hold_until is None


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("typo", "no limit or rate 'hold-apy'"),
        ("zero", "timedelta above zero"),
        ("number", "timedelta above zero"),
        ("key", "has no keys"),
        ("transaction", "while the run's transaction is open"),
    ],
)
def test_an_invalid_hold_is_refused_with_a_message(ledger: Ledger, how: str, words: str) -> None:
    done = ledger.perform(HoldBadly(how=how))

    assert isinstance(done.error, JobsError)
    assert words in str(done.error)


def test_an_attempt_that_lost_its_lease_holds_nothing(ledger: Ledger) -> None:
    done = ledger.perform(HoldBadly(how="lost"))

    assert isinstance(done.error, LeaseLost)
    HoldCall(number=1).enqueue()
    ledger.drain()
    assert HoldCall.performed == [1]
