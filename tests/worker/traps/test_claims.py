"""Which runs a worker process claims, in which order, and how many: nothing is hoarded, and nothing waits in vain."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

import jobs
from jobs import boot
from jobs.app import App
from jobs.ledger.queries import find
from jobs.ready.redis import RedisReadyIndex
from jobs.states import RunState
from tests.waiting import wait_until
from tests.worker.traps.stage import SOON, STAGE, Hold, Light, Note, all_succeeded, counts
from worker.process.process import Process


def test_fifty_queues_make_one_fetch_thread(app, start):
    queues = [f"queue{n}" for n in range(50)]
    before = set(threading.enumerate())
    start(queues=queues)
    for n, queue in enumerate(queues):
        Note(n=n).enqueue(queue=queue)

    assert all_succeeded(app, 50)
    assert sorted(STAGE.began) == list(range(50))
    assert [one.name for one in set(threading.enumerate()) - before].count("jobs-fetcher") == 1


def test_a_runs_own_priority_is_honoured(make_app, ledger_url, app, start):
    single = make_app(ledger_url, threads=1)
    order = [5, -5, 0, 900, -900, 3]
    for priority in order:
        Note(n=priority).enqueue(priority=priority)
    start(on=single)

    assert all_succeeded(app, len(order))
    assert STAGE.began == sorted(order)


def test_an_urgent_run_overtakes_those_that_wait(make_app, ledger_url, app, start):
    single = make_app(ledger_url, threads=1)
    Hold(n=0).enqueue(priority=-1000)
    for n in range(1, 31):
        Note(n=n).enqueue()
    start(on=single)
    assert wait_until(lambda: STAGE.began == [0], seconds=SOON)
    Note(n=999).enqueue(priority=-1000)
    # Runs that were handed over before may go first: two for the thread.
    assert wait_until(lambda: counts(app).get(RunState.QUEUED, 0) >= 29, seconds=SOON)
    STAGE.gate.set()

    assert all_succeeded(app, 32)
    assert STAGE.began.index(999) <= 3


def test_long_jobs_are_not_hoarded(make_app, ledger_url, app, start):
    """While one process performs long jobs, an idle one gets the rest."""
    small = make_app(ledger_url, threads=2)
    start("busy", on=small)
    for n in range(20):
        Hold(n=n).enqueue()
    assert wait_until(lambda: len(STAGE.began) == 2, seconds=SOON)
    start("idle", on=make_app(ledger_url, threads=18))

    assert wait_until(lambda: len(STAGE.began) == 20, seconds=SOON)


def test_nothing_is_waited_for_while_runs_wait(app, start):
    """That there is nothing for the coroutines keeps no thread idle."""
    jobs.enqueue_many([Note(n=n) for n in range(1500)])
    asks: list[tuple[float, int]] = []

    def listen(process: Process) -> None:
        claim = process._source.claim

        def heard(count: int, *, wait_seconds: float, **kinds: Any) -> Any:
            claims = claim(count, wait_seconds=wait_seconds, **kinds)
            asks.append((wait_seconds, len(claims)))
            return claims

        process._source.claim = heard

    start(before=listen)

    assert all_succeeded(app, 1500)
    last = max(place for place, (_, found) in enumerate(asks) if found)
    assert [wait for wait, found in asks[:last] if not found and wait] == []


@pytest.fixture
def fleet(app, ledger_url, redis_url, make_app, monkeypatch) -> App:
    made = make_app(ledger_url, redis_url=redis_url, threads=2)
    monkeypatch.setattr(boot, "_app", made)
    made.ready.mark_intact()
    return made


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_runs_without_a_free_thread_stay_in_the_ready_index(fleet, redis_url, start):
    """It looks for coroutines meanwhile, and takes nothing else away for a moment."""
    jobs.enqueue_many([Hold(n=n) for n in range(10)])
    claimed: list[Any] = []

    def listen(process: Process) -> None:
        claim = process._source.claim

        def heard(*given: Any, **how: Any) -> Any:
            claims = claim(*given, **how)
            claimed.extend(one.run_id for one in claims)
            return claims

        process._source.claim = heard

    start(on=fleet, before=listen)
    assert wait_until(lambda: len(STAGE.began) == 2, seconds=SOON)
    urgent = Note(n=999).enqueue(priority=-10).id
    assert wait_until(lambda: counts(fleet).get(RunState.RUNNING) == 2, seconds=SOON)

    other = RedisReadyIndex(redis_url, ledger=fleet.database.ledger_identity)

    def waiting() -> list[Any]:
        return [run_id for run_id, _ in other.peek(["default"], 20, skip=0).runs]

    # One that went back is in the index again a moment after the ledger has it.
    assert wait_until(lambda: len(waiting()) == 9, seconds=SOON)
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        assert len(waiting()) == 9
        assert waiting()[0] == urgent
    other.close()
    Light().enqueue()
    assert wait_until(lambda: "light" in STAGE.began, seconds=SOON), "a coroutine waits for no thread"
    STAGE.gate.set()
    assert all_succeeded(fleet, 12)
    # In the order of the claims: a thread that has its run may begin it late.
    assert claimed.index(urgent) <= 4


def test_a_claim_that_no_thread_has_started_is_given_back_soon(make_app, ledger_url, app, start):
    for n in range(30):
        Note(n=n).enqueue()
    single = make_app(ledger_url, threads=1)

    def expect_short_runs(process: Process) -> None:
        # Many are claimed ahead.
        process._fetcher._prefetch_limit.record({("default", "traps.Note"): [0.001] * 64})

    Hold(n=-1).enqueue(priority=-1000)
    start(on=single, before=expect_short_runs)
    assert wait_until(lambda: STAGE.began == [-1], seconds=SOON)

    def held() -> int:
        return counts(app).get(RunState.RUNNING, 0)

    assert wait_until(lambda: held() == 31, seconds=SOON)
    # Well before their lease of 30 s ends.
    assert wait_until(lambda: held() == 1, seconds=20), "all but what is performed go back"
    assert not wait_until(lambda: held() > 1, seconds=1), "and are not claimed again until a thread is free"
    with app.database.read() as connection:
        assert {one.attempt for one in find.list_runs(connection, states=[RunState.QUEUED])} == {0}
    STAGE.gate.set()
    assert all_succeeded(app, 31)
    assert sorted(STAGE.began) == list(range(-1, 30))
