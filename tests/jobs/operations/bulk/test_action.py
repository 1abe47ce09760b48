"""Bulk actions: planned, counted, in batches, on record, resumable, and taken back only where nothing moved."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event

from jobs.app import App
from jobs.definition import registry
from jobs.errors import Conflict, Forbidden, JobsError, NotFound, SelectorRefused
from jobs.ledger.operators import audit_queries, idempotency
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.runs import prune
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.bulk import batches
from jobs.operations.bulk.action import begin, carry_out, plan
from jobs.operations.bulk.argument_changes import check_changes
from jobs.operations.bulk.batches import Act, Report
from jobs.operations.bulk.cancel import CancelAction
from jobs.operations.bulk.purge import PurgeAction, RestoreAction
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.bulk.undo import plan_undo, undo
from jobs.operations.control.pause import pause, resume
from jobs.operations.runs import inspect
from jobs.states import Cause, Outcome, RunState
from tests.book import Book

EVERYTHING = Selector(is_all=True)


def act_on(app: App, ada: Operator, act: Act, selector: Selector, **how: Any) -> Report:
    return carry_out(app, ada, act, plan(app, ada, act, selector), **how)


def replay(app: App, ada: Operator, **given: Any) -> ReplayAction:
    return ReplayAction(app=app, operator=ada, **given)


def dead_runs(book: Book, count: int) -> list[UUID]:
    return [book.bring(RunState.DEAD)[0] for _ in range(count)]


def action_of(app: App, report: Report) -> dict[str, Any]:
    with app.database.read() as connection:
        return audit_queries.find_action(connection, str(report.action_id))


def test_replay_reopens_the_dead_with_a_fresh_budget_and_leaves_one_row(app: App, ada: Operator, book: Book) -> None:
    dead, (cancelled, _), (done, _) = dead_runs(book, 3), book.bring(RunState.CANCELLED), book.bring(RunState.SUCCEEDED)

    report = act_on(app, ada, replay(app, ada), EVERYTHING, reason="fixed")

    assert (report.done, report.skipped) == (3, 0)
    assert {book.run(one).state for one in dead} == {RunState.QUEUED}
    assert {book.run(one).charged for one in dead} == {0}
    assert book.run(cancelled).state is RunState.CANCELLED
    assert book.run(done).state is RunState.SUCCEEDED
    action = action_of(app, report)
    assert (action["actor"], action["verb"], action["reason"], action["done"]) == ("ada@desk", "replay", "fixed", 3)
    assert action["state"] == "finished"
    with app.database.read() as connection:
        notes = audit_queries.entries_of(connection, report.action_id)
        assert len(audit_queries.list_actions(connection)) == 1
    assert {one.run_id for one in notes} == set(dead)
    assert {(one.before or {})["state"] for one in notes} == {"dead"}
    assert {(one.after or {})["state"] for one in notes} == {"queued"}


def test_an_empty_selection_selects_nothing(app: App, ada: Operator, book: Book) -> None:
    dead_runs(book, 1)

    with pytest.raises(SelectorRefused, match="--all"):
        plan(app, ada, replay(app, ada), Selector())


def test_a_count_that_is_not_the_expected_one_changes_nothing(app: App, ada: Operator, book: Book) -> None:
    dead = dead_runs(book, 2)

    with pytest.raises(Conflict, match="2 runs match, and 3 were expected"):
        act_on(app, ada, replay(app, ada), EVERYTHING, expect=3)

    assert {book.run(one).state for one in dead} == {RunState.DEAD}


def test_an_operator_without_the_permission_is_refused(app: App, book: Book) -> None:
    reader = Operator("eve", frozenset({Permission.RUNS_READ}))
    dead_runs(book, 1)

    for act in (replay(app, reader), CancelAction(), PurgeAction(), RestoreAction()):
        with pytest.raises(Forbidden, match="eve"):
            plan(app, reader, act, EVERYTHING)
    shown = inspect.list_runs(app, reader, Selector()).runs[0]
    assert shown.arguments == inspect.HIDDEN


@pytest.mark.parametrize(
    "selector",
    [
        Selector(arguments=(("to", "a@b.c"),)),
        Selector(errors=("*secret*",)),
        Selector(keys=("a@b.c",)),
        Selector(tags=("customer:7",)),
    ],
    ids=["arguments", "errors", "keys", "tags"],
)
def test_without_arguments_read_no_plan_selects_by_arguments(app: App, book: Book, selector: Selector) -> None:  # K2.C
    operator = Operator("eve", frozenset(Permission) - {Permission.ARGUMENTS_READ})
    dead_runs(book, 1)

    for act in (replay(app, operator), CancelAction(), PurgeAction(), PurgeAction(erase=True), RestoreAction()):
        with pytest.raises(Forbidden, match="arguments:read"):
            plan(app, operator, act, selector)


@pytest.mark.parametrize("count", [0, 1])
def test_a_plan_is_carried_out_only_by_who_may_do_it(app: App, ada: Operator, book: Book, count: int) -> None:  # K2.C
    reader = Operator("eve", frozenset({Permission.RUNS_READ}))
    dead = dead_runs(book, count)
    act = replay(app, ada)
    planned = plan(app, ada, act, EVERYTHING)

    with pytest.raises(Forbidden, match="runs:replay"):
        begin(app, reader, act, planned)
    with pytest.raises(Forbidden, match="runs:replay"):
        carry_out(app, reader, act, planned)

    assert [book.run(one).state for one in dead] == [RunState.DEAD] * count
    with app.database.read() as connection:
        assert audit_queries.list_actions(connection) == []


def test_a_setting_requires_a_reason(app: App, ada: Operator, book: Book) -> None:
    dead_runs(book, 1)
    strict = replace(app, settings=app.settings.model_copy(update={"require_reason": True}))

    with pytest.raises(SelectorRefused, match="reason is required"):
        act_on(strict, ada, replay(strict, ada), EVERYTHING)


def test_a_limit_takes_the_oldest(app: App, ada: Operator, book: Book) -> None:
    # In the past: an action leaves what entered its state after it began.
    book.step(-1)
    dead = []
    # Well before the ledger's own moment: what dies after an action has begun is none of its business.
    book.step(-60)
    for _ in range(4):
        book.step(0.01)
        dead += dead_runs(book, 1)

    act_on(app, ada, replay(app, ada), replace(EVERYTHING, limit=2))

    assert [book.run(one).state.value for one in dead] == ["queued", "queued", "dead", "dead"]


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


@pytest.fixture
def mail_job() -> Any:
    from jobs import Job

    class MailJob(Job, kind="Mail"):
        order_id: int
        card: str

        def perform(self) -> None: ...

    yield MailJob
    registry.forget("Mail")


def test_with_changes_a_new_run_names_the_old_which_stays(app: App, ada: Operator, book: Book, mail_job: Any) -> None:
    old, _ = book.bring(RunState.DEAD, arguments={"order_id": 7, "card": "declined"})
    bad, _ = book.bring(RunState.DEAD, arguments={"order_id": "x", "card": "declined"})

    report = act_on(app, ada, replay(app, ada, changes={"card": "ok"}), Selector(ids=(old, bad)))

    assert (report.done, report.skipped) == (1, 1)
    ((named, new),) = report.new_runs
    assert named == old
    assert book.run(old).state is RunState.DEAD
    assert book.run(new).arguments == {"order_id": 7, "card": "ok"}
    assert book.run(new).replayed_from == old
    assert book.run(new).enqueued_by == "ada@desk"
    assert report.some_skipped[0][0] == bad
    with pytest.raises(SelectorRefused, match="no argument 'cart'"):
        check_changes({"cart": 1}, ["Mail"])


def test_a_run_that_succeeded_is_replayed_as_a_new_one_with_the_same_arguments(
    app: App, ada: Operator, book: Book
) -> None:
    done, _ = book.bring(RunState.SUCCEEDED, arguments={"n": 1.0})

    report = act_on(
        app, ada, replay(app, ada, queue="other", priority=-5, delay_seconds=60), Selector(states=("succeeded",))
    )

    new = book.run(report.new_runs[0][1])
    assert (new.queue, new.priority, new.arguments, new.replayed_from) == ("other", -5, {"n": 1.0}, done)
    assert book.run(done).state is RunState.SUCCEEDED


def test_cancel_ends_waiting_runs_and_flags_running_ones_without_touching_the_lease(
    app: App, ada: Operator, book: Book
) -> None:
    waits, held = book.enqueue(), book.start()
    token, until = book.column(held.run_id, "token"), book.column(held.run_id, "lease_until")

    report = act_on(app, ada, CancelAction(reason="twice"), EVERYTHING, reason="twice")

    assert report.done == 2
    assert book.run(waits).state is RunState.CANCELLED
    assert book.run(held.run_id).state is RunState.RUNNING
    assert book.run(held.run_id).cancel_requested_at is not None
    assert (book.column(held.run_id, "token"), book.column(held.run_id, "lease_until")) == (token, until)


def test_purge_hides_restore_brings_back_and_erase_blanks(app: App, ada: Operator, book: Book) -> None:
    dead, held = dead_runs(book, 1)[0], book.start(arguments={"name": "Eve"})
    done, _ = book.bring(RunState.SUCCEEDED, arguments={"name": "Eve"})

    act_on(app, ada, PurgeAction(), Selector(ids=(dead, held.run_id)))

    listed = {run.id for run in inspect.list_runs(app, ada, Selector()).runs}
    assert listed == {held.run_id, done}
    act_on(app, ada, RestoreAction(), Selector(ids=(dead,)))
    assert dead in {run.id for run in inspect.list_runs(app, ada, Selector()).runs}
    act_on(app, ada, PurgeAction(erase=True), Selector(ids=(done,)))
    assert "Eve" not in str(book.run(done))
    assert book.run(held.run_id).arguments == {"name": "Eve"}


@pytest.mark.parametrize("verb", ["replay", "cancel", "purge"])
def test_undo_restores_runs_that_have_not_moved_and_lists_the_others(
    app: App, ada: Operator, book: Book, verb: str
) -> None:
    runs = [book.enqueue(delay_seconds=60.0) for _ in range(3)] if verb == "cancel" else dead_runs(book, 3)
    before = [book.run(one) for one in runs]
    acts: dict[str, Act] = {"replay": replay(app, ada), "cancel": CancelAction(), "purge": PurgeAction()}
    report = act_on(app, ada, acts[verb], Selector(ids=tuple(runs)))
    book.step(3600)
    # One of them moves on, and comes back to the state in which the action left it.
    if verb == "replay":
        (held,) = book.claim(runs[0])
        book.end(held, Outcome.SNOOZED)
    elif verb == "cancel":
        book.reopen(runs[0])
        book.cancel(runs[0])
    else:
        act_on(app, ada, RestoreAction(), Selector(ids=(runs[0],)))
        act_on(app, ada, PurgeAction(), Selector(ids=(runs[0],)))
    moved = book.run(runs[0])

    taken_back = undo(app, ada, plan_undo(app, ada, str(report.action_id)))

    assert (taken_back.done, taken_back.skipped) == (2, 1)
    assert taken_back.some_skipped == [(runs[0], "it has moved since")]
    assert book.run(runs[0]) == moved
    assert [book.run(one) for one in runs[1:]] == before[1:]
    with pytest.raises(Conflict, match="has been undone"):
        plan_undo(app, ada, str(report.action_id))


def test_undo_of_a_cancel_lets_a_running_job_go_on(app: App, ada: Operator, book: Book) -> None:
    held = book.start()
    report = act_on(app, ada, CancelAction(), EVERYTHING)

    undo(app, ada, plan_undo(app, ada, str(report.action_id)))

    assert book.run(held.run_id).cancel_requested_at is None
    assert book.end(held, Outcome.SUCCEEDED) is not None


def test_a_pause_is_recorded_takes_effect_and_is_undone(app: App, ada: Operator, book: Book) -> None:
    book.enqueue()
    book.enqueue(kind="Other")

    pause(app, ada, "kind", "Mail", reason="why not")
    assert book.claim_due(kinds=("Mail",)) == []
    with app.database.read() as connection:
        action = audit_queries.list_actions(connection)[0]
    undo(app, ada, plan_undo(app, ada, str(action["id"])))
    assert len(book.claim_due(kinds=("Mail",))) == 1
    pause(app, ada, "queue", "default")
    assert book.claim_due(kinds=("Mail", "Other")) == []
    resume(app, ada, "queue", "default")
    assert len(book.claim_due(kinds=("Mail", "Other"))) == 1
    with pytest.raises(JobsError, match="Did you mean 'default'"):
        pause(app, ada, "queue", "defualt")


def test_no_transaction_of_a_large_replay_is_long(app: App, ada: Operator, book: Book) -> None:
    from benchmarks.kit.fill import fill_ledger

    fill_ledger(app.database, 20_000)
    began: dict[int, float] = {}
    longest = 0.0

    def begin(connection: Any) -> None:
        began[id(connection)] = app.clock.monotonic()

    def end(connection: Any) -> None:
        nonlocal longest
        longest = max(longest, app.clock.monotonic() - began.pop(id(connection), app.clock.monotonic()))

    for name, hear in (("begin", begin), ("commit", end), ("rollback", end)):
        event.listen(app.database.engine, name, hear)
    try:
        report = act_on(app, ada, replay(app, ada), Selector(states=("succeeded",), limit=3_000))
    finally:
        for name, hear in (("begin", begin), ("commit", end), ("rollback", end)):
            event.remove(app.database.engine, name, hear)

    assert report.done == 3_000
    assert 0 < longest < 5.0


def test_references_to_a_pruned_run_stay_readable(app: App, ada: Operator, book: Book) -> None:
    parent, _ = book.bring(RunState.DEAD)
    child = book.enqueue(parent_id=parent, root_id=parent)
    act_on(app, ada, CancelAction(), Selector(ids=(child,)))
    purged = act_on(app, ada, PurgeAction(), Selector(ids=(parent,)))
    with app.database.write() as connection:
        assert prune.prune_purged(connection, after=timedelta(seconds=-60)) == 1

    assert inspect.find_run(app, ada, str(child))[0].parent_id == parent
    assert inspect.related(app, ada, child) == []
    with pytest.raises(NotFound):
        inspect.find_run(app, ada, str(parent))
    again = act_on(app, ada, replay(app, ada), Selector(ids=(child, parent), states=("cancelled",)))
    assert again.done == 1
    undone = undo(app, ada, action_of(app, purged))
    assert (undone.done, undone.skipped) == (0, 1)
    assert book.run(child).state is RunState.QUEUED


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


def test_erasing_blanks_stored_responses(app: App, ada: Operator, book: Book) -> None:
    run_id, _ = book.bring(RunState.SUCCEEDED)
    request = idempotency.RequestKey("ada@desk", "k1", "")
    now = app.clock.now()
    with app.database.write() as connection:
        assert idempotency.claim(connection, request, "f", now=now, kept=timedelta(days=1)) is None
        idempotency.answer(connection, request, status=200, text='{"arguments": {"card": "4111"}}')

    act_on(app, ada, PurgeAction(erase=True), Selector(ids=(run_id,)), reason="asked to")

    with app.database.write() as connection:
        kept = idempotency.claim(connection, request, "f", now=now, kept=timedelta(days=1))
    assert kept is not None
    assert kept.answer is None
