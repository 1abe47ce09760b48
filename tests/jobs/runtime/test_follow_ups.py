"""Follow-ups are enqueued once, by the transaction that ends their run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text

import jobs
from jobs import Job, RunState
from jobs.ledger.queries import find as finding
from jobs.ledger.runs import sweep
from jobs.testing import Ledger

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url, lock_timeout="2s") as ledger:
        yield ledger


class FollowedOrder(Job, retry=jobs.Retry(max_attempts=2)):
    def perform(self) -> None: ...


class Say(Job):
    what: str

    def perform(self) -> None: ...


FOLLOW = {"on_success": [Say(what="yes")], "on_dead": [Say(what="dead")], "on_cancelled": [Say(what="off")]}


def said(ledger: Ledger) -> list[str]:
    return [run.arguments["what"] for run in ledger.runs(Say)]


def test_a_follow_up_comes_with_the_success_of_its_run(ledger: Ledger) -> None:
    run_id = FollowedOrder().enqueue(**FOLLOW).id  # type: ignore[arg-type]
    assert said(ledger) == []

    ledger.drain()

    assert said(ledger) == ["yes"]
    say = ledger.runs(Say)[0]
    assert (say.parent_id, say.root_id, say.state) == (run_id, run_id, RunState.SUCCEEDED)


@pytest.mark.parametrize("way", ["exhausted", "expired", "unknown_kind", "poison_crash", "poison_lost", "gave_up"])
def test_a_follow_up_is_enqueued_whatever_dead_letters_the_run(ledger: Ledger, way: str) -> None:
    expires = HOUR if way == "expired" else None
    delay = DAY if way in ("expired", "unknown_kind") else None
    run_id = FollowedOrder().enqueue(expires=expires, delay=delay, **FOLLOW).id  # type: ignore[arg-type]
    if way == "exhausted":
        ledger.fail(FollowedOrder, times=2)
    elif way == "gave_up":
        ledger.fail(FollowedOrder, jobs.GiveUp("no"))
    elif way == "poison_crash":
        ledger.crash(FollowedOrder, times=9)
    elif way == "poison_lost":
        with ledger.app.database.write() as connection:
            connection.execute(text("update job_runs set abandonments = 2"))
        from jobs.ledger.runs.claim import claim as verb

        with ledger.app.database.write() as connection:
            verb(connection, [run_id], kinds=["FollowedOrder"], worker="w", lease=HOUR)
        ledger.advance(DAY)
        with ledger.app.database.write() as connection:
            sweep.rescue(connection, poison_after=3)
    elif way == "unknown_kind":
        ledger.advance(2 * DAY)
        with ledger.app.database.write() as connection:
            sweep.dead_letter_unknown_kinds(connection, ["Say"], wait=HOUR)
    ledger.drain(advance=2 * DAY)

    assert jobs.find(run_id).state is RunState.DEAD
    assert said(ledger) == ["dead"]


def test_a_follow_up_comes_when_a_waiting_run_is_cancelled(ledger: Ledger) -> None:
    run_id = FollowedOrder().enqueue(**FOLLOW).id  # type: ignore[arg-type]

    jobs.cancel(run_id)

    assert said(ledger) == ["off"]


def test_a_follow_up_comes_when_a_claimed_run_that_was_cancelled_is_given_back(ledger: Ledger) -> None:
    from jobs.ledger.runs.claim import claim as verb
    from jobs.ledger.runs.give_back import give_back

    run_id = FollowedOrder().enqueue(**FOLLOW).id  # type: ignore[arg-type]
    with ledger.app.database.write() as connection:
        [held] = verb(connection, [run_id], kinds=["FollowedOrder"], worker="w", lease=HOUR)
    jobs.cancel(run_id)

    with ledger.app.database.write() as connection:
        give_back(connection, [(run_id, held.token)])

    assert said(ledger) == ["off"]


def test_a_follow_up_comes_once_however_often_its_run_is_replayed(ledger: Ledger) -> None:
    from jobs.ledger.runs.replay import reopen

    ledger.fail(FollowedOrder, jobs.GiveUp("no"), times=2)
    run_id = FollowedOrder().enqueue(**FOLLOW).id  # type: ignore[arg-type]
    ledger.drain()
    for _ in range(2):
        with ledger.app.database.write() as connection:
            reopen(connection, [run_id])
        ledger.drain()

    assert sorted(said(ledger)) == ["dead", "yes"]


def test_an_end_in_a_transaction_that_rolls_back_enqueues_no_follow_up(ledger: Ledger) -> None:
    from jobs.ledger.runs.cancel import cancel_runs

    run_id = FollowedOrder().enqueue(**FOLLOW).id  # type: ignore[arg-type]
    with ledger.app.database.engine.connect() as connection:
        cancel_runs(connection, [run_id])
        connection.rollback()

    assert said(ledger) == []
    with ledger.app.database.read() as connection:
        found = finding.find_run(connection, run_id)
    assert found is not None
    assert found.state is RunState.QUEUED
