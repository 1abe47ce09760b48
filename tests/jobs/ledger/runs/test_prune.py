"""What has been kept for long enough goes, with all that is its; nothing else does."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select

from jobs.database.models import (
    JobAttempt,
    JobFollowup,
    JobKey,
    JobRun,
    JobSchedule,
    JobScheduleSlot,
    JobStep,
    OperatorAction,
    OperatorActionRun,
)
from jobs.ledger.admission import keys
from jobs.ledger.runs import prune, purge
from jobs.ledger.schedules.slots import prune_slots
from jobs.states import FINAL, Outcome, RunState
from tests.book import Book, new_run
from tests.jobs.ledger.queries.test_query_plans import MANY, filled, full, rows_read  # noqa: F401

DAY = timedelta(days=1)
WEEK = 7 * DAY


def prune_ended(book: Book, state: RunState, *, after: timedelta = WEEK, limit: int = 500) -> int:
    with book.database.write() as connection:
        return prune.prune_ended(connection, state, after=after, limit=limit, now=book.now)


def count(book: Book, model: Any) -> int:
    with book.database.read() as connection:
        return connection.scalar(select(func.count()).select_from(model)) or 0


def ids(book: Book) -> set[UUID]:
    with book.database.read() as connection:
        return set(connection.scalars(select(JobRun.id)))


@pytest.mark.parametrize("state", sorted(FINAL))
def test_runs_of_one_state_go_when_they_have_been_in_it_for_long_enough(book: Book, state: RunState) -> None:
    for each in RunState:
        book.bring(each, queue=f"of-{each.value}")
    old = {book.bring(state, queue=queue, kind=kind)[0] for queue, kind in [("a", "Mail"), ("b", "Mail")]}
    book.step(3600)
    young, _ = book.bring(state, queue="a")
    before = ids(book)
    book.step((WEEK - DAY).total_seconds())
    assert prune_ended(book, state) == 0

    book.step(DAY.total_seconds() - 1800)
    gone = prune_ended(book, state)

    kept = ids(book)
    assert gone == 3
    assert kept < before
    assert not old & kept
    assert young in kept
    assert len(kept) == len(RunState)
    assert count(book, JobAttempt) == len({one for one in kept if book.attempts(one)})


def test_a_run_goes_with_its_attempts_steps_and_follow_ups_and_its_key_stays(book: Book) -> None:
    run_id, _ = book.bring(RunState.SUCCEEDED)
    other, _ = book.bring(RunState.DEAD)
    with book.database.write() as connection:
        for one in (run_id, other):
            step = {"run_id": one, "name": "s", "form": "effect", "token": one, "attempt": 1, "started_at": book.now}
            connection.execute(insert(JobStep).values(step))
            followup = {"run_id": one, "on_state": "dead", "kind": "Mail", "run": "{}", "created_at": book.now}
            connection.execute(insert(JobFollowup).values(id=new_run().id, **followup))
            connection.execute(insert(JobKey).values(kind="Mail", key=str(one), run_id=one, arguments_hash="h"))
    book.step(WEEK.total_seconds() + 1)

    assert prune_ended(book, RunState.SUCCEEDED) == 1

    assert ids(book) == {other}
    assert [count(book, model) for model in (JobAttempt, JobStep, JobFollowup, JobKey)] == [1, 1, 1, 2]


def test_a_key_held_for_ever_still_answers_with_the_run_that_is_gone(book: Book) -> None:
    first = new_run(key="order:1", hold_seconds=None, arguments_hash="h")
    with book.database.write() as connection:
        assert keys.admit(connection, [first], now=book.now)[0].created
    (held,) = book.claim(first.id)
    book.end(held, Outcome.SUCCEEDED)
    book.step(WEEK.total_seconds() + 1)
    assert prune_ended(book, RunState.SUCCEEDED) == 1

    with book.database.write() as connection:
        (again,) = keys.admit(connection, [new_run(key="order:1", hold_seconds=None, arguments_hash="h")], now=book.now)

    assert (again.created, again.run.id) == (False, first.id)


def test_a_batch_is_limited_and_the_next_goes_on(book: Book) -> None:
    for number in range(5):
        book.bring(RunState.CANCELLED, queue=f"q{number % 2}")
    book.step(WEEK.total_seconds() + 1)

    assert [prune_ended(book, RunState.CANCELLED, limit=2) for _ in range(4)] == [2, 2, 1, 0]


def test_rows_that_another_transaction_locks_are_skipped(book: Book) -> None:
    if book.database.dialect == "sqlite":
        pytest.skip("SQLite has one writer: nobody else can hold a row")
    run_id, _ = book.bring(RunState.DEAD)
    other, _ = book.bring(RunState.DEAD)
    book.step(WEEK.total_seconds() + 1)
    with book.database.write() as connection:
        connection.execute(select(JobRun.id).where(JobRun.id == run_id).with_for_update())

        assert prune_ended(book, RunState.DEAD) == 1

    assert ids(book) == {run_id}
    assert other not in ids(book)


def test_a_purged_run_goes_when_it_has_been_hidden_for_long_enough(book: Book) -> None:
    hidden, _ = book.bring(RunState.DEAD)
    seen, _ = book.bring(RunState.DEAD)
    book.step(90 * DAY.total_seconds())
    with book.database.write() as connection:
        purge.hide(connection, [hidden], now=book.now)
    book.step(DAY.total_seconds())

    def prune_purged() -> int:
        with book.database.write() as connection:
            return prune.prune_purged(connection, after=WEEK, now=book.now)

    assert prune_purged() == 0
    book.step(WEEK.total_seconds())
    assert prune_purged() == 1
    assert ids(book) == {seen}


def test_the_last_success_of_a_schedule_stays_while_there_is_the_schedule(book: Book) -> None:
    made = []
    for schedule in ("nightly", "nightly", "dropped"):
        run_id, _ = book.bring(RunState.SUCCEEDED)
        book.change(run_id, schedule=schedule)
        made.append(run_id)
        book.step(3600)
    row = {
        "owner": "operator", "kind": "Mail", "queue": "default", "priority": 0, "arguments": "{}",
        "arguments_version": 1, "max_attempts": 1, "definition": json.dumps({}),
    }  # fmt: skip
    with book.database.write() as connection:
        moments = dict.fromkeys(("created_at", "changed_at", "decided_until"), book.now)
        connection.execute(insert(JobSchedule).values(name="nightly", **row, **moments))
    book.step(WEEK.total_seconds())

    assert prune_ended(book, RunState.SUCCEEDED) == 2

    assert ids(book) == {made[1]}


def test_old_slots_are_deleted(book: Book) -> None:
    for name in ("old", "new"):
        with book.database.write() as connection:
            slot = {"slot_at": book.now, "decided_at": book.now, "state": "missed", "why": "late", "older_missed": 0}
            connection.execute(insert(JobScheduleSlot).values(schedule=name, **slot))
        book.step(DAY.total_seconds())

    with book.database.write() as connection:
        assert prune_slots(connection, after=1.5 * DAY, now=book.now) == 1
    with book.database.read() as connection:
        assert connection.scalars(select(JobScheduleSlot.schedule)).all() == ["new"]


def test_an_old_action_goes_after_what_it_did_to_each_run(book: Book) -> None:
    def act(finished: bool) -> UUID:
        action = new_run().id
        row = {"verb": "replay", "actor": "ada", "target": "all", "started_at": book.now, "expected": 3}
        end = {"state": "finished", "finished_at": book.now} if finished else {"state": "running"}
        with book.database.write() as connection:
            connection.execute(insert(OperatorAction).values(id=action, **row, **end))
            for _ in range(3):
                connection.execute(insert(OperatorActionRun).values(action_id=action, run_id=new_run().id))
        return action

    act(True)
    running = act(False)
    book.step(2 * DAY.total_seconds())
    young = act(True)

    def prune_audit() -> int:
        with book.database.write() as connection:
            return prune.prune_audit(connection, after=DAY, limit=2, now=book.now)

    assert [prune_audit() for _ in range(4)] == [2, 1, 1, 0]
    with book.database.read() as connection:
        assert set(connection.scalars(select(OperatorAction.id))) == {running, young}
        assert set(connection.scalars(select(OperatorActionRun.action_id))) == {running, young}


def test_a_batch_reads_the_rows_that_it_deletes(full: Book) -> None:  # noqa: F811
    """Of a thousand that succeeded, and those that did not, ten are old."""
    with full.crash_before_commit() as connection:
        nothing = rows_read(
            connection, lambda: prune.prune_ended(connection, RunState.SUCCEEDED, after=WEEK, now=full.now)
        )
        few = rows_read(
            connection,
            lambda: prune.prune_ended(
                connection, RunState.SUCCEEDED, after=timedelta(seconds=-1), limit=10, now=full.now
            ),
        )
        hidden = rows_read(connection, lambda: prune.prune_purged(connection, after=WEEK, now=full.now))

    assert nothing < MANY / 20
    assert few < MANY / 4
    assert hidden < MANY / 20
