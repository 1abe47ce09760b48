"""Slots that pass from runs that end to parked runs, one for one, without a lock on the rows of limits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from jobs import Job, Limit
from jobs.app import App
from jobs.database.models import JobLimitSlot, JobRun
from jobs.definition import registry
from jobs.definition.limits import limited_kinds, limits_of
from jobs.ledger.limits.admit import AdmittedClaims, admit
from jobs.ledger.limits.counts import declare, with_room
from jobs.ledger.limits.exchange import Successors
from jobs.ledger.limits.overrides import set_override
from jobs.ledger.limits.reassign import left_parked, reassign
from jobs.ledger.records import Claim
from jobs.ledger.runs.claim import due_candidates
from jobs.ledger.runs.settle import settle, settle_one
from jobs.ledger.runs.settle_plain import LimitedSettled, settle_limited
from jobs.states import Outcome
from tests.book import LEASE, Book, attempt_result
from worker.exchange import admission

KINDS = ("ExchangeCall", "ExchangeKeyed")


@pytest.fixture(scope="module", autouse=True)
def kinds() -> Iterator[None]:
    class ExchangeCall(Job, limits=Limit(2)):
        def perform(self) -> None: ...

    class ExchangeKeyed(Job, limits=Limit(2, by="account")):
        account: str

        def perform(self) -> None: ...

    yield
    for kind in KINDS:
        registry.forget(kind)
        limited_kinds.pop(kind)


@pytest.fixture(autouse=True)
def declared(book: Book) -> None:
    if not book.is_postgresql:
        pytest.skip("SQLite counts, since one process writes at a time")
    with book.database.write() as connection:
        declare(connection, limits_of(KINDS), now=book.now)


def calls(book: Book, count: int, **given: object) -> list[UUID]:
    runs = []
    for _ in range(count):
        book.step(1)
        runs.append(book.enqueue(kind="ExchangeCall", **given))
    return runs


def settled(book: Book, *claims: Claim, most: int, worker: str = "w1") -> LimitedSettled:
    successors = Successors(most, KINDS, ["default"], LEASE)
    with book.database.direct() as direct:
        return settle_limited(
            direct,
            [attempt_result(one, Outcome.SUCCEEDED) for one in claims],
            worker=worker,
            monotonic=0.0,
            successors=successors,
            now=book.now,
        )


def test_whoever_ends_attempts_claims_the_next_parked_runs_and_leaves_the_others_to_their_queue(book: Book) -> None:
    runs = calls(book, 5)
    held = book.claim_due(10, kinds=KINDS)
    assert [one.run_id for one in held] == runs[:2]

    done = settled(book, *held, most=1)

    assert [one.run_id for one, _ in [(recorded, result) for result, recorded in done.settled]] == sorted(runs[:2])
    (started,) = done.started
    assert (started.run_id, started.attempt, started.problem) == (runs[2], 1, None)
    assert [one.run_id for one in done.settled[0][1].followed_by] == [runs[3]]
    assert [book.run(one).state for one in runs] == ["succeeded", "succeeded", "running", "queued", "queued"]
    assert [book.run(one).hold for one in runs[2:]] == [None, None, "parked"]
    assert book.claim_due(10, kinds=KINDS)[0].run_id == runs[3]
    assert settled(book, started, most=1).started[0].run_id == runs[4]


def test_it_claims_no_run_of_another_queue_and_none_that_has_expired(book: Book) -> None:
    held = [book.claim(one, kinds=KINDS)[0] for one in calls(book, 2)]
    (elsewhere,) = calls(book, 1, queue="other")
    (late,) = calls(book, 1, expires_seconds=3.0)
    book.claim(elsewhere, late, kinds=KINDS)
    book.step(10)

    done = settled(book, *held, most=5)

    assert done.started == []
    assert {one.run_id for one in done.settled[0][1].followed_by} == {elsewhere, late}


def test_while_more_perform_than_a_lowered_limit_allows_no_slot_is_handed_on(book: Book) -> None:
    runs = calls(book, 4)
    first, second = book.claim_due(10, kinds=KINDS)
    with book.database.write() as connection:
        set_override(connection, ("ExchangeCall", ""), {"set_most": 1}, now=book.now)

    done = settled(book, first, most=5)
    with book.database.write() as connection:
        assert reassign(connection, done.left, now=book.now) == []
    last = settled(book, second, most=5)

    assert (done.started, done.left) == ([], [("ExchangeCall", "")])
    assert [one.run_id for one in last.started] == [runs[2]]


def test_a_key_whose_slots_nobody_took_is_named_and_a_run_that_is_parked_meanwhile_is_found(book: Book) -> None:
    runs = calls(book, 3)
    first, second = book.claim_due(2, kinds=KINDS)
    done = settled(book, first, most=5)
    assert done.left == [("ExchangeCall", "")]
    with book.database.direct() as direct:
        assert left_parked(direct, done.left) == []
    # As if a claim had counted before the end was committed.
    book.change(runs[2], hold="parked", held_on="limit:ExchangeCall", held_at=book.now, due_at=book.now)

    with book.database.direct() as direct:
        assert left_parked(direct, done.left) == done.left
    with book.database.write() as connection:
        assert [one.run_id for one in reassign(connection, done.left, now=book.now)] == [runs[2]]
    assert second.run_id == runs[1]


@pytest.mark.parametrize("claim_commits_first", [True, False])
def test_a_claim_and_an_end_that_do_not_see_each_other_do_not_wait_and_the_last_to_commit_hands_the_slot_on(
    book: Book, claim_commits_first: bool
) -> None:
    """The end is part of a job's own transaction, which may stay open for long."""
    runs = calls(book, 3)
    first, _ = book.claim_due(2, kinds=KINDS)
    given: dict[str, Any] = {"worker": "w2", "lease": LEASE, "now": book.now}
    key = ("ExchangeCall", "")

    with ExitStack() as claiming, ExitStack() as ending:
        claims = claiming.enter_context(book.database.write())
        found = due_candidates(claims, ["default"], count=5, kinds=KINDS, **given)
        admitted = admit(claims, found, **given)
        end = attempt_result(first, Outcome.SUCCEEDED)
        ends = ending.enter_context(book.database.write())
        ((_, recorded),), _ = settle(ends, [end], worker="w1", poison_after=3, monotonic=0.0, now=book.now)
        (claiming if claim_commits_first else ending).close()
        with book.database.direct() as direct:
            early = with_room(direct, [key], now=book.now) if claim_commits_first else left_parked(direct, [key])
        (ending if claim_commits_first else claiming).close()
    with book.database.direct() as direct:
        late = left_parked(direct, [key]) if claim_commits_first else with_room(direct, [key], now=book.now)
    with book.database.write() as connection:
        freed = reassign(connection, late, now=book.now)

    assert (list(admitted.full), list(recorded.slots_left)) == ([key], [key])
    assert (early, late) == ([], [key])
    assert [one.run_id for one in freed] == [runs[2]]


def test_a_claim_makes_ready_what_it_has_parked_while_an_attempt_ended(
    app: App, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = calls(book, 3)
    first, _ = book.claim_due(2, kinds=KINDS)

    def admit_late(*given: Any, **options: Any) -> AdmittedClaims:
        admitted = admit(*given, **options)
        assert settled(book, first, most=0).left == [("ExchangeCall", "")], "it does not see what is not committed"
        return admitted

    monkeypatch.setattr(admission, "admit", admit_late)
    given: dict[str, Any] = {"kinds": KINDS, "worker": "w2", "lease": LEASE, "now": book.now}

    own = app.database.own_connection()
    assert own is not None
    with closing(own):
        claiming = admission.Admission(app, KINDS, worker="w2", own=own)
        claims = claiming.claim(lambda runner: due_candidates(runner, ["default"], count=5, **given))

    assert claims == []
    assert book.run(runs[2]).hold is None


def ended_apart(book: Book, held: list[Claim], worker: str) -> LimitedSettled:
    """As jobs do that end in transactions of their own."""
    done = LimitedSettled([], [], [])
    for one in held:
        ending = attempt_result(one, Outcome.SUCCEEDED)
        with book.database.write() as connection:
            recorded = settle_one(connection, ending, worker=worker, poison_after=3, monotonic=0.0, now=book.now)
        assert recorded is not None
        done.settled.append((ending, recorded))
        done.left.extend(recorded.slots_left)
    return done


def test_claims_and_ends_at_the_same_time_keep_the_limit_and_leave_nothing_parked(book: Book) -> None:
    """No sweep helps here. A watcher counts by what is committed."""
    total, accounts = 150, 3
    for n in range(total):
        book.enqueue(kind="ExchangeKeyed", arguments={"account": str(n % accounts)})
    over, left = threading.Event(), [total]
    most: list[int] = []
    lock = threading.Lock()

    def work(worker: str) -> None:
        while not over.is_set():
            held = book.claim_due(20, kinds=KINDS, worker=worker)
            while held:
                done = (
                    ended_apart(book, held, worker) if worker == "w0" else settled(book, *held, most=1, worker=worker)
                )
                if done.left:
                    with book.database.direct() as direct:
                        parked = left_parked(direct, done.left)
                    with book.database.write() as connection:
                        reassign(connection, parked, now=book.now)
                with lock:
                    left[0] -= len(done.settled)
                    if left[0] <= 0:
                        over.set()
                held = done.started

    def watch() -> None:
        query = text("select arguments->>'account', count(*) from job_runs where state = 'running' group by 1")
        while not over.is_set():
            with book.database.read() as connection:
                most.extend(row[1] for row in connection.execute(query))

    book.step(1)
    with ThreadPoolExecutor(5) as pool:
        watcher = pool.submit(watch)
        workers = [pool.submit(work, f"w{n}") for n in range(4)]
        assert over.wait(90), f"{left[0]} of {total} runs have not ended"
        for one in (*workers, watcher):
            one.result(60)

    assert max(most) <= 2
    with book.database.read() as connection:
        assert connection.scalar(select(func.count()).where(JobRun.state == "succeeded")) == total
        assert connection.scalar(select(func.count()).select_from(JobLimitSlot)) == 0
