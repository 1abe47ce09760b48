"""Bulk actions go in short batches, take each run once as it is then, and go on where they were stopped."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event

from jobs.app import App
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk import batches
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.batches import Report
from jobs.states import Cause, Outcome, RunState
from tests.book import Book
from tests.jobs.operations.bulk.acting import EVERYTHING, act_on, action_of, dead_runs, replay


def test_a_run_that_left_the_selected_state_before_it_was_locked_is_skipped(
    app: App, ada: Operator, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved, dead = dead_runs(book, 2)
    look = batches.held_versions

    def succeeds_first(connection: Any, run_ids: list[UUID], *, has_history: bool) -> Any:
        found = look(connection, run_ids, has_history=has_history)
        return {one: {**version, "state": "succeeded"} if one == moved else version for one, version in found.items()}

    monkeypatch.setattr(batches, "held_versions", succeeds_first)
    report = act_on(app, ada, replay(app, ada), EVERYTHING)

    assert (report.done, report.some_skipped) == (1, [(moved, "it is succeeded meanwhile")])
    assert not report.new_runs
    assert book.run(dead).state is RunState.QUEUED


def test_a_run_whose_key_is_held_is_skipped_and_the_rest_goes_on(app: App, ada: Operator, book: Book) -> None:
    dead = dead_runs(book, 3)
    holder = book.enqueue()
    for run_id in (dead[1], holder):
        book.change(run_id, key="order:7")

    report = act_on(app, ada, replay(app, ada), EVERYTHING)

    assert (report.done, report.skipped) == (2, 1)
    assert report.some_skipped == [(dead[1], f"its key is held by {str(holder)[-8:]}")]
    assert book.run(dead[1]).state is RunState.DEAD


def test_batches_are_short_and_a_stopped_action_goes_on_where_it_was(
    app: App, ada: Operator, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 2)
    dead = dead_runs(book, 5)
    seen: list[int] = []
    planned = plan(app, ada, replay(app, ada), EVERYTHING)
    stopped = carry_out(
        app,
        ada,
        replay(app, ada),
        planned,
        is_stopped=lambda: len(seen) == 2,
        progress=lambda one: seen.append(one.done),
    )

    assert stopped.is_interrupted
    assert seen == [2, 4]
    assert action_of(app, stopped)["state"] == "interrupted"
    rest = act_on(app, ada, replay(app, ada), EVERYTHING, resume=stopped.action_id)
    assert (rest.done, rest.action_id) == (1, stopped.action_id)
    assert action_of(app, rest)["done"] == 5
    assert {book.run(one).state for one in dead} == {RunState.QUEUED}


def test_a_run_that_dies_again_during_the_action_is_not_replayed_twice(
    app: App, ada: Operator, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 1)
    dead_runs(book, 3)

    def die_again(report: Report) -> None:
        book.step(3600)
        for held in book.claim_due():
            book.end(held, Outcome.GAVE_UP, cause=Cause.GAVE_UP)

    report = act_on(app, ada, replay(app, ada), EVERYTHING, progress=die_again)

    assert (report.done, report.skipped) == (3, 0)


def test_no_transaction_of_a_large_replay_is_long(app: App, ada: Operator, book: Book) -> None:
    from benchmarks.kit.fill import fill_ledger

    fill_ledger(app.database, 5_000)
    began: dict[int, float] = {}
    longest, transactions = 0.0, 0

    def begin(connection: Any) -> None:
        began[id(connection)] = app.clock.monotonic()

    def end(connection: Any) -> None:
        nonlocal longest, transactions
        transactions += 1
        longest = max(longest, app.clock.monotonic() - began.pop(id(connection), app.clock.monotonic()))

    for name, hear in (("begin", begin), ("commit", end), ("rollback", end)):
        event.listen(app.database.engine, name, hear)
    try:
        report = act_on(app, ada, replay(app, ada), Selector(states=("succeeded",), limit=1_500))
    finally:
        for name, hear in (("begin", begin), ("commit", end), ("rollback", end)):
            event.remove(app.database.engine, name, hear)

    assert report.done == 1_500
    assert transactions >= 1_500 / batches.BATCH
    assert 0 < longest < 5.0


def test_new_runs_that_succeed_meanwhile_are_not_replayed_again(
    app: App, ada: Operator, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers perform the new runs while the action goes on; else it would replay its own runs without end."""
    old = [book.bring(RunState.SUCCEEDED)[0] for _ in range(3)]
    monkeypatch.setattr(batches, "BATCH", 1)

    def succeed(report: Report) -> None:
        assert report.done <= len(old)
        for _, new in report.new_runs:
            book.change(new, state="succeeded", finished_at=app.clock.now(), state_at=app.clock.now())

    report = act_on(app, ada, replay(app, ada), Selector(states=("succeeded",)), progress=succeed)

    assert {one for one, _ in report.new_runs} == set(old)
    assert (report.done, report.skipped) == (3, 0)
