"""``once(ask=…)``: the next attempt finds out by itself whether an unknown effect took place."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

import pytest

import jobs
from jobs import Job, RunState
from jobs.definition import registry
from jobs.testing import Crash, Ledger

HOUR = timedelta(hours=1)


class Bank:
    made: ClassVar[dict[str, str]] = {}
    asked: ClassVar[list[str]] = []
    calls: ClassVar[int] = 0
    dies: ClassVar[str] = ""
    """``before`` or ``after`` the payment is made, once."""
    errors: ClassVar[list[Exception]] = []

    @classmethod
    def pay(cls, key: str) -> str:
        cls.calls += 1
        dies, cls.dies = cls.dies, ""
        if dies == "before":
            raise Crash("died")
        cls.made[key] = f"receipt {cls.calls}"
        if dies == "after":
            raise Crash("died")
        return cls.made[key]

    @classmethod
    def find(cls, key: str) -> str | None:
        cls.asked.append(key)
        if cls.errors:
            raise cls.errors.pop(0)
        return cls.made.get(key)


class Pay(Job, kind="ask.Pay"):
    def perform(self) -> Any:
        key = self.run.effect_key("pay")
        return self.run.once("pay", lambda: Bank.pay(key), if_unknown="stop", ask=Bank.find)


class PayAsync(Job, kind="ask.PayAsync"):
    async def perform(self) -> Any:
        key = self.run.effect_key("pay")

        async def pay() -> str:
            return Bank.pay(key)

        async def find(key: str) -> str | None:
            return Bank.find(key)

        return await self.run.once_async("pay", pay, ask=find)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    Bank.made, Bank.asked, Bank.calls, Bank.errors = {}, [], 0, []
    with Ledger(ledger_url) as ledger:
        yield ledger


@pytest.fixture(autouse=True, scope="module")
def forget() -> Iterator[None]:
    yield
    for kind in ("ask.Pay", "ask.PayAsync"):
        registry.forget(kind)


@pytest.mark.parametrize("job", [Pay, PayAsync])
@pytest.mark.parametrize(("dies", "calls"), [("before", 2), ("after", 1), ("", 1)])
def test_the_payment_is_made_once_and_only_an_unknown_one_is_asked_for(
    ledger: Ledger, job: type[Job], dies: str, calls: int
) -> None:
    Bank.dies = dies
    run = job().enqueue().id
    ledger.perform(run)
    ledger.drain(advance=HOUR)

    found = jobs.find(run)
    assert (found.state, found.result) == (RunState.SUCCEEDED, f"receipt {calls}")
    assert (Bank.calls, len(Bank.made), len(Bank.asked)) == (calls, 1, bool(dies))
    (step,) = jobs.steps(run)
    assert step.result == f"receipt {calls}"
    assert set(Bank.asked) <= set(Bank.made)


@pytest.mark.parametrize("job", [Pay, PayAsync])
def test_an_error_in_ask_leaves_the_effect_unknown_and_the_next_attempt_calls_ask_again(
    ledger: Ledger, job: type[Job]
) -> None:
    Bank.dies, Bank.errors = "after", [OSError("the bank is closed")]
    run = job().enqueue().id
    ledger.perform(run)
    failed, last = ledger.drain(advance=HOUR)

    assert isinstance(failed.error, OSError)
    assert last.error is None
    assert (jobs.find(run).result, Bank.calls, len(Bank.asked)) == ("receipt 1", 1, 2)
