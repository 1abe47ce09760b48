"""As of: the state of runs at earlier moments, from attempts, operators' actions and rows; and what cannot be known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from jobs.app import App
from jobs.errors import NotFound, SelectorRefused
from jobs.ledger.effects import steps
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.cancel import CancelAction
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.bulk.undo import plan_undo, undo
from jobs.operations.runs.as_of import find_as_of, list_as_of
from jobs.operations.runs.earlier_state import KnownBy
from jobs.states import Cause, Outcome
from tests.book import BOOM, SECOND, Book, attempt_result


@pytest.fixture
def past(book: Book) -> Book:
    """A ledger whose moments are an hour ago, so that what operators do now comes after them."""
    book.now = datetime.now(UTC) - timedelta(hours=1)
    return book


def word_at(app: App, ada: Operator, run: UUID, at: datetime) -> tuple[str, KnownBy]:
    then = find_as_of(app, ada, str(run), at).then
    return then.word, then.known_by


def now(app: App) -> datetime:
    return app.clock.now()


def test_attempts_say_what_the_state_was(app: App, ada: Operator, past: Book) -> None:
    began = past.now
    run = past.enqueue()
    past.step(10)
    (held,) = past.claim(run, worker="w1")
    past.step(10)
    past.end(held, Outcome.FAILED, failure=BOOM, elapsed=10.0, delay=30.0)
    past.step(40)
    (held,) = past.claim(run, worker="w2")
    past.step(10)
    past.settle(attempt_result(held, Outcome.SUCCEEDED, elapsed=10.0, result=7), worker="w2")

    assert word_at(app, ada, run, began + 5 * SECOND) == ("queued", KnownBy.ENQUEUE)
    assert word_at(app, ada, run, began + 15 * SECOND) == ("running", KnownBy.ATTEMPT)
    assert word_at(app, ada, run, began + 25 * SECOND) == ("retrying", KnownBy.ATTEMPT)
    assert word_at(app, ada, run, began + 55 * SECOND) == ("ready", KnownBy.ATTEMPT)
    second = find_as_of(app, ada, str(run), began + 65 * SECOND)
    assert (second.then.word, second.then.run.attempt, second.then.run.worker) == ("running", 2, "w2")
    assert (second.then.run.error_type, second.then.run.result) == (BOOM.type, None)
    assert ([one.attempt for one in second.attempts], second.is_performing) == ([1], True)
    last = find_as_of(app, ada, str(run), now(app))
    assert (last.then.word, last.then.known_by, last.then.run.result) == ("succeeded", KnownBy.ROW, 7)
    with pytest.raises(NotFound, match="was not there yet"):
        find_as_of(app, ada, str(run), began - SECOND)
    with pytest.raises(SelectorRefused, match="in the future"):
        find_as_of(app, ada, str(run), now(app) + 60 * SECOND)


def test_a_run_that_was_replayed_since_was_dead_and_the_audit_knows_the_cause(
    app: App, ada: Operator, past: Book
) -> None:
    died = past.now
    held = past.start()
    past.end(held, Outcome.GAVE_UP, cause=Cause.GAVE_UP, failure=BOOM)
    past.step(60)
    act = ReplayAction(app=app, operator=ada)
    carry_out(app, ada, act, plan(app, ada, act, Selector(ids=(held.run_id,))))

    then = find_as_of(app, ada, str(held.run_id), died + 30 * SECOND).then

    assert (then.word, then.known_by, then.run.cause) == ("dead", KnownBy.ACTION, Cause.GAVE_UP)
    assert word_at(app, ada, held.run_id, now(app)) == ("ready", KnownBy.ROW)


def test_an_action_that_was_undone_was_in_force_until_then(app: App, ada: Operator, past: Book) -> None:
    run = past.enqueue()
    act = CancelAction(reason=None)
    action = carry_out(app, ada, act, plan(app, ada, act, Selector(ids=(run,)))).action_id
    between = now(app)
    undo(app, ada, plan_undo(app, ada, str(action)))

    assert word_at(app, ada, run, between) == ("cancelled", KnownBy.ACTION)
    assert word_at(app, ada, run, now(app))[0] == "ready"


def test_a_list_has_the_runs_of_that_moment_by_the_states_of_that_moment(app: App, ada: Operator, past: Book) -> None:
    began = past.now
    held = [past.start() for _ in range(5)]
    past.step(10)
    for one in held[:3]:
        past.end(one, Outcome.SUCCEEDED, elapsed=10.0)
    past.step(10)
    for one in held[3:]:
        past.end(one, Outcome.GAVE_UP, cause=Cause.GAVE_UP, failure=BOOM, elapsed=20.0)
    past.step(10)
    past.enqueue()

    def at(seconds: float, **chosen: object) -> list[str]:
        page = list_as_of(app, ada, Selector(**chosen), began + seconds * SECOND)  # type: ignore[arg-type]
        return [one.word for one in page.runs]

    assert at(5) == ["running"] * 5
    assert at(15) == ["running"] * 2 + ["succeeded"] * 3
    assert at(15, states=("running",)) == ["running"] * 2
    assert at(25, states=("dead",), errors=("boom",)) == ["dead"] * 2
    assert at(25, states=("dead",), errors=("bang",)) == []
    assert at(-1) == []
    with pytest.raises(SelectorRefused, match="cause"):
        at(25, causes=("gave_up",))
    with pytest.raises(SelectorRefused, match="What held a run"):
        at(25, held=("stripe",))


def test_pages_neither_repeat_nor_miss(app: App, ada: Operator, past: Book) -> None:
    runs = [past.start().run_id for _ in range(7)]
    moment = past.now + SECOND
    seen, after = [], None
    while True:
        page = list_as_of(app, ada, Selector(states=("running",)), moment, limit=3, after=after)
        seen += [one.run.id for one in page.runs]
        after = page.next_after
        if after is None:
            break

    assert seen == sorted(runs, reverse=True)


def test_a_step_that_ended_later_had_only_begun(app: App, ada: Operator, past: Book) -> None:
    held = past.start()
    with past.database.write() as connection:
        steps.begin_effect(connection, held.run_id, held.token, "charge", attempt=1, now=past.now)
        steps.end_effect(connection, held.run_id, held.token, "charge", result="7", now=past.now + 10 * SECOND)

    (step,) = find_as_of(app, ada, str(held.run_id), past.now + 5 * SECOND).steps

    assert (step.name, step.finished_at, step.result) == ("charge", None, None)
