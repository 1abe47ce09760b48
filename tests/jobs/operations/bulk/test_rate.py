"""The pace of a bulk action: as fast as was said, no wait after its end, and deaf for no more than a moment."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from jobs.app import App
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk import batches
from jobs.states import Outcome, RunState
from tests.book import Book
from tests.jobs.operations.bulk.acting import EVERYTHING, act_on, dead_runs, replay


class SteppedClock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.rng, self.seconds = random.Random(7), 0.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_a_rate_is_kept_and_nothing_is_waited_for_after_the_last(app: App, ada: Operator, book: Book) -> None:
    dead_runs(book, 5)
    slow = replace(app, clock=SteppedClock())

    report = act_on(slow, ada, replay(slow, ada), EVERYTHING, rate=1 / 60)

    assert report.done == 5
    assert 240 <= slow.clock.monotonic() <= 301


def test_one_run_at_a_slow_rate_is_done_at_once(app: App, ada: Operator, book: Book) -> None:
    dead = dead_runs(book, 1)
    slow = replace(app, clock=SteppedClock())

    act_on(slow, ada, replay(slow, ada), Selector(ids=tuple(dead)), rate=1 / 3600, is_stopped=lambda: False)

    assert slow.clock.monotonic() == 0


def test_a_stop_takes_effect_while_an_action_waits_for_its_rate(app: App, ada: Operator, book: Book) -> None:
    dead_runs(book, 2)
    clock = SteppedClock()
    slow = replace(app, clock=clock)

    report = act_on(slow, ada, replay(slow, ada), EVERYTHING, rate=1 / 3600, is_stopped=lambda: clock.seconds > 1)

    assert (report.done, report.is_interrupted) == (1, True)
    assert clock.seconds < 2


def test_a_resumed_replay_leaves_the_runs_that_it_made_itself(
    app: App, ada: Operator, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 1)
    for _ in range(3):
        book.bring(RunState.SUCCEEDED)
    succeeded, made = Selector(states=("succeeded",)), []
    stopped = act_on(
        app, ada, replay(app, ada), succeeded,
        is_stopped=lambda: bool(made), progress=lambda report: made.extend(report.new_runs),
    )  # fmt: skip
    book.now = datetime.now(UTC)
    for held in book.claim_due():
        book.end(held, Outcome.SUCCEEDED)

    rest = act_on(app, ada, replay(app, ada), succeeded, resume=stopped.action_id)

    assert (stopped.done, rest.done) == (1, 2)
    assert made[0][1] not in {old for old, _ in rest.new_runs}
