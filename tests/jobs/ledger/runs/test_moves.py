"""Every pair of states: the legal moves work, the others are refused by every verb and by the tables themselves."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from uuid import uuid4

import pytest

from jobs import states
from jobs.errors import LedgerRefused
from jobs.states import FINAL, LIVE, MOVES, Cause, Outcome, RunState, checked_move
from tests.book import LEASE, START

CAUSES = {RunState.DEAD: "gave_up"}


def to_running(book, run_id, held):
    book.claim(run_id)


def to_queued(book, run_id, held):
    book.end(held, Outcome.SNOOZED)
    book.reopen(run_id)


def to_succeeded(book, run_id, held):
    book.end(held, Outcome.SUCCEEDED)


def to_dead(book, run_id, held):
    book.end(held, Outcome.GAVE_UP, cause=Cause.GAVE_UP)
    book.dead_letter_unknown("Other", wait=0 * LEASE)


def to_cancelled(book, run_id, held):
    book.end(held, Outcome.CANCELLED)
    book.cancel(run_id)


WAYS = {
    RunState.QUEUED: to_queued,
    RunState.RUNNING: to_running,
    RunState.SUCCEEDED: to_succeeded,
    RunState.DEAD: to_dead,
    RunState.CANCELLED: to_cancelled,
}
"""Every verb that can bring a run to a state, tried with the claim it once had."""


@pytest.mark.parametrize("after", sorted(RunState))
@pytest.mark.parametrize("before", sorted(RunState))
def test_a_move_is_made_exactly_when_it_is_legal(book, before, after):
    run_id, held = book.bring(before)
    was = book.run(run_id)
    book.step(1)

    WAYS[after](book, run_id, held)

    run = book.run(run_id)
    if after in MOVES[before]:
        assert run.state is after
        assert run.state_at == book.now
    else:
        assert run == was


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_final_run_is_moved_by_replay_alone(book, state):
    run_id, held = book.bring(state)
    before = book.run(run_id)
    book.step(1000)

    book.claim(run_id)
    book.claim_due()
    book.renew(held)
    book.give_back(held)
    for outcome in Outcome:
        book.end(held, outcome)
    book.cancel(run_id)
    book.rescue()
    book.end_dead_attempts("w1", performing=[held.token], ended=[held.token])
    book.expire()
    book.dead_letter_unknown("Other")

    assert book.run(run_id) == before
    assert bool(book.reopen(run_id)) is (RunState.QUEUED in MOVES[state])


class TestTheTables:
    """The CHECKs say it again, so that a bug cannot store nonsense."""

    RIGHT = {  # noqa: RUF012
        RunState.QUEUED: {"token": None, "lease_until": None, "finished_at": None, "cause": None},
        RunState.RUNNING: {"token": uuid4(), "lease_until": START, "finished_at": None, "cause": None},
        RunState.SUCCEEDED: {"token": None, "lease_until": None, "finished_at": START, "cause": None},
        RunState.DEAD: {"token": None, "lease_until": None, "finished_at": START, "cause": "gave_up"},
        RunState.CANCELLED: {"token": None, "lease_until": None, "finished_at": START, "cause": None},
    }
    OTHER = {"token": uuid4(), "lease_until": START, "finished_at": START, "cause": "poison"}  # noqa: RUF012

    @pytest.mark.parametrize("state", sorted(RunState))
    def test_a_state_with_what_belongs_to_it_is_stored(self, book, state):
        run_id = book.enqueue()
        book.change(run_id, state=state, attempt=1, **self.RIGHT[state])

        assert book.run(run_id).state is state

    @pytest.mark.parametrize("wrong", sorted(OTHER))
    @pytest.mark.parametrize("state", sorted(RunState))
    def test_a_state_with_what_does_not_belong_to_it_is_refused(self, book, state, wrong):
        run_id = book.enqueue()
        values = dict(self.RIGHT[state])
        values[wrong] = None if values[wrong] is not None else self.OTHER[wrong]

        with pytest.raises(LedgerRefused):
            book.change(run_id, state=state, attempt=1, **values)

        assert book.run(run_id).state is RunState.QUEUED

    @pytest.mark.parametrize(
        "values",
        [
            {"state": "lost"},
            {"state": None},
            {"charged": 1},
            {"charged": -1},
            {"max_attempts": 0},
            {"priority": 1001},
            {"priority": -1001},
            {"kind": None},
            {"arguments": None},
            {"run_at": None},
        ],
        ids=str,
    )
    def test_invalid_combinations_of_columns_are_refused(self, book, values):
        run_id = book.enqueue()

        with pytest.raises(LedgerRefused):
            book.change(run_id, **values)

    def test_a_running_run_has_an_attempt(self, book):
        run_id = book.enqueue()

        with pytest.raises(LedgerRefused):
            book.change(run_id, state="running", attempt=0, **self.RIGHT[RunState.RUNNING])


def test_the_drawing_shows_every_state():
    assert states.__doc__
    drawn = set(re.findall(r"[A-Z]{4,}", states.__doc__)) - {"CHECK"}

    assert drawn == {state.name for state in RunState}
    assert FINAL | LIVE == set(MOVES) == set(RunState)


@pytest.mark.parametrize("after", sorted(RunState))
@pytest.mark.parametrize("before", sorted(RunState))
def test_a_move_that_is_not_legal_is_refused_where_its_statement_is_built(before, after):
    if after in MOVES[before]:
        assert checked_move(before, after) == after.value
    else:
        with pytest.raises(ValueError, match=f"from {before} to {after}"):
            checked_move(before, after)


def test_the_ledger_writes_no_state_that_was_not_checked_against_the_moves():
    folder = Path(states.__file__).parent / "ledger" / "runs"
    written = [
        (path.name, keyword.value)
        for path in sorted(folder.glob("*.py"))
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "values"
        for keyword in call.keywords
        if keyword.arg == "state"
    ]

    unchecked = [
        (name, ast.unparse(value))
        for name, value in written
        for part in ast.walk(value)
        if (isinstance(part, ast.Name) and part.id == "RunState")
        or (isinstance(part, ast.Constant) and part.value in set(RunState))
    ]

    assert len(written) >= 8
    assert unchecked == []
