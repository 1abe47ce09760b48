"""Actors under limits and rates of the ledger: parked, not retried; dramatiq's own rate limiters work beside them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import dramatiq
import pytest
from dramatiq.rate_limits import ConcurrentRateLimiter
from dramatiq.rate_limits.backends import StubBackend
from sqlalchemy import func, select

from jobs import Breaker, Limit, Rate
from jobs.database.models import JobAttempt, JobRun
from jobs.definition.breakers import guarded_kinds
from jobs.definition.limits import keys_of, limited_kinds
from jobs.dramatiq import LedgerBroker
from jobs.errors import DefinitionError
from jobs.messages.encoding import write_message
from tests.jobs.dramatiq.broker_runs import JOIN, runs
from tests.jobs.dramatiq.conftest import StartWorker
from tests.waiting import wait_until

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    before = set(limited_kinds), set(guarded_kinds)
    yield
    for kind in set(limited_kinds) - before[0]:
        limited_kinds.pop(kind)
    for kind in set(guarded_kinds) - before[1]:
        guarded_kinds.pop(kind)


def test_messages_of_one_key_perform_one_at_a_time_without_a_retry(
    broker: LedgerBroker, start_worker: StartWorker
) -> None:
    """The other limit is dramatiq's: what it refuses is retried, as on every broker."""
    at_once: Counter[str] = Counter()
    most: Counter[str] = Counter()
    lock = threading.Lock()
    two_of_all = ConcurrentRateLimiter(StubBackend(), "two-of-all", limit=2)

    @dramatiq.actor(limits=[Limit(1, by="account"), Rate(100, per=timedelta(seconds=1), burst=20)], min_backoff=5)
    def limit_charge(amount: int, account: str = "a") -> None:
        with two_of_all.acquire(), lock:
            at_once[account] += 1
            most[account] = max(most[account], at_once[account])
        time.sleep(0.01)
        with lock:
            at_once[account] -= 1

    for n in range(6):
        limit_charge.send(n)
        limit_charge.send(n, account="b")
    start_worker()
    broker.join("default", timeout=JOIN)

    assert most == {"a": 1, "b": 1}
    assert {run["state"] for run in runs(broker)} == {"succeeded"}
    with broker.app.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(JobAttempt)) == 12


def test_a_key_is_what_the_message_passes_for_the_parameter_or_its_default(broker: LedgerBroker) -> None:
    @dramatiq.actor(limits=[Limit(1, by="account"), Rate(600, per=timedelta(minutes=1), name="limit-api", by="region")])
    def limit_keyed(amount: int, account: str = "a", *more: str, region: str = "eu") -> None: ...

    def keys(*args: object, **kwargs: object) -> list[str | None]:
        message = limit_keyed.message_with_options(args=args, kwargs=kwargs)
        return [one.key for one in keys_of("limit_keyed", write_message(message, max_bytes=10_000), 1)]

    assert keys(1) == ["a", "eu"]
    assert keys(1, "b", "x", region="us") == ["b", "us"]
    assert keys() == ["(unknown)", "(unknown)"], "the call does not fit the actor"


def test_a_mistake_is_refused_where_the_actor_is_declared(broker: LedgerBroker) -> None:
    def limit_bad(account: str, *more: str) -> None: ...

    with pytest.raises(DefinitionError, match="by 'more', which is no parameter") as caught:
        dramatiq.actor(limits=Limit(1, by="more"))(limit_bad)
    assert caught.value.hint == "Its parameters are: account."
    with pytest.raises(DefinitionError, match=r"takes a Limit\(…\), a Rate\(…\), or a list"):
        dramatiq.actor(limits=[3])(limit_bad)
    with pytest.raises(DefinitionError, match=r"The breaker of job .* is by 'more', which is no parameter"):
        dramatiq.actor(breaker=Breaker(after=2, within=MINUTE, by="more"))(limit_bad)


def test_failures_of_an_actor_open_its_breaker_for_their_key(broker: LedgerBroker, start_worker: StartWorker) -> None:
    @dramatiq.actor(breaker=Breaker(after=2, within=MINUTE, by="account"), max_retries=0)
    def guarded_pay(account: str) -> None:
        if account == "down":
            raise ConnectionError("it does not answer")

    guarded_pay.send("down")
    guarded_pay.send("down")
    start_worker()
    broker.join("default", timeout=JOIN)

    guarded_pay.send("up")
    guarded_pay.send("down")

    def states() -> list[tuple[str, str | None]]:
        with broker.app.database.read() as connection:
            return [tuple(row) for row in connection.execute(select(JobRun.state, JobRun.hold).order_by(JobRun.id))]

    wanted = [("dead", None), ("dead", None), ("succeeded", None), ("queued", "parked")]
    assert wait_until(lambda: states() == wanted, seconds=JOIN / 1000), states()
