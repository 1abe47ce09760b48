"""Drawings: lengths show times and numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from admin_api.pages.drawings.attempt_timeline import WIDTH as TRIES_WIDTH
from admin_api.pages.drawings.attempt_timeline import draw_attempts
from admin_api.pages.drawings.lineage import draw_lineage
from admin_api.pages.drawings.minute_bars import draw_minutes, round_up_scale, short
from admin_api.pages.drawings.slot_line import MOST, WIDTH, draw_day
from jobs.app import App
from jobs.ledger.queries.series import Minute
from jobs.ledger.schedules.schedules import find_schedule
from jobs.operations.audit.operator import Operator
from jobs.operations.runs.detail import detail
from tests.admin_api.pages import filled

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA = Operator("ada@desk")


@pytest.mark.parametrize(
    ("number", "scale"), [(0, 2), (1, 2), (3, 4), (5, 10), (11, 20), (400, 400), (401, 1000), (12_345, 20_000)]
)
def test_a_scale_is_the_next_round_number(number: int, scale: int) -> None:
    assert round_up_scale(number) == scale


def test_numbers_on_an_axis_are_short() -> None:
    assert [short(one) for one in (0, 999, 1000, 1500, 2_000_000)] == ["0", "999", "1k", "1.5k", "2M"]


def test_bars_are_proportional_and_a_single_failure_is_visible() -> None:
    minutes = [Minute(NOW, succeeded=100), Minute(NOW + timedelta(minutes=1), succeeded=99_999, failed=1)]

    chart = draw_minutes(minutes)

    assert chart.levels == ["100k", "50k", "0"]
    parts = {tone: height for tone, _, height in chart.bars[1].parts}
    assert parts == {"bad": 2.0, "good": pytest.approx(140, abs=0.5)}
    assert chart.bars[0].says == "12:00 UTC: 100 succeeded, 0 failed"


@pytest.fixture
def full(app: App) -> filled.Places:
    return filled.fill(app)


def test_attempts_are_drawn_in_order_within_the_drawing(app: App, full: filled.Places) -> None:
    seen = detail(app, ADA, str(full.run))

    line = draw_attempts(seen.run, seen.attempts.items, now=app.clock.now())

    assert [one.number for one in line.stretches if one.number is not None] == [1, 2, 3]
    assert all(one.tone == "bad" for one in line.stretches if one.number is not None)
    ends = [one.x + one.width for one in line.stretches]
    assert [one.x for one in line.stretches[1:]] == pytest.approx(ends[:-1], abs=0.2)
    assert ends[-1] <= TRIES_WIDTH


def test_a_run_is_drawn_between_its_parent_and_its_follow_ups(app: App, full: filled.Places) -> None:
    seen = detail(app, ADA, str(full.family))

    family = draw_lineage(seen.run, seen, now=app.clock.now())

    assert family is not None
    columns = {one.role: one.x for one in family.nodes}
    assert columns["root"] < columns["this"] < columns["child"]
    assert len(family.edges) == len(family.nodes) - 1
    assert draw_lineage(detail(app, ADA, str(full.run)).run, detail(app, ADA, str(full.run)), now=NOW) is None


def test_slots_of_a_day_are_ticks_and_many_are_a_band(app: App, full: filled.Places) -> None:
    now = app.clock.now()
    with app.database.read() as connection:
        nightly, minutely = (find_schedule(connection, one) for one in ("nightly report", "heartbeat"))

    (tick,) = draw_day(nightly, now=now).ticks
    band = draw_day(minutely, now=now)

    assert 0 <= tick.x <= WIDTH
    assert band.ticks == []
    assert band.band is not None
    assert MOST < 1440
