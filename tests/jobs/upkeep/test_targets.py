"""Upkeep counts what ended under targets, in the process that leads, and keeps the rows few."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from jobs import boot
from jobs.app import App
from jobs.database.models import JobTargetCount
from jobs.ledger.targets.budgets import read_budgets
from jobs.ledger.targets.set_targets import TargetRecord, write_target
from jobs.settings import Settings
from jobs.states import RunState
from jobs.upkeep.loop import Upkeep
from jobs.upkeep.targets import TURN_STEPS
from tests.book import Book
from tests.manual_clock import ManualClock


class SteppedClock(ManualClock):
    """Both clocks stand still until the test steps them."""

    moment = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def advance(self, span: timedelta) -> None:
        self.at += span.total_seconds()
        self.moment += span


def rows(app: App) -> int:
    with app.database.read() as connection:
        return connection.scalar(select(func.count()).select_from(JobTargetCount)) or 0


def test_the_leading_process_counts_each_minute_once_and_catches_up_after_a_pause(sqlite_url: str) -> None:
    clock = SteppedClock()
    app = boot.build(Settings(database_url=sqlite_url), clock=clock)
    try:
        upkeep = Upkeep(app)
        upkeep.round()
        assert rows(app) == 0, "without a target nothing is counted"
        with app.database.write() as connection:
            write_target(connection, "queue", "default", TargetRecord(success=0.9))
        clock.advance(timedelta(seconds=16))
        upkeep.round()
        upkeep.round()
        begun = rows(app)
        assert begun >= 2, "the first, with nothing, and the last minute"

        Book(app.database, now=clock.now()).bring(RunState.DEAD)
        clock.advance(timedelta(hours=30))
        upkeep.round()
        assert rows(app) == begun + TURN_STEPS, "the other tasks run too"
        clock.advance(timedelta(seconds=16))
        upkeep.round()

        assert begun + 30 <= rows(app) <= begun + 33
        with app.database.read() as connection:
            (budget,) = read_budgets(connection, app.settings)
        assert [budget.burn(window).count.dead for window in ("5m", "6h", "3d", "28d")] == [0, 0, 1, 1]
    finally:
        app.close()
