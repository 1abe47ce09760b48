from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobs.scheduling.preview import preview
from jobs.scheduling.schedule import Cron, Every


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "zone", "after", "shown"),
    [
        (
            "30 2 * * *",
            "Europe/Paris",
            "2026-03-28T12:00",
            [("03:00+0200", "moved: the clocks skip 2026-03-29 02:30:00"), ("02:30+0200", "")],
        ),
        (
            "30 2 * * *",
            "Europe/Paris",
            "2026-10-24T12:00",
            [("02:30+0200", "the first of two; it does not fire at the second"), ("02:30+0100", "")],
        ),
        (
            "30 * * * *",
            "Europe/Paris",
            "2026-10-25T00:00",
            [("02:30+0200", "the first of two"), ("02:30+0100", "the clocks show this time again")],
        ),
        ("0 3 * * *", "Europe/Paris", "2026-03-28T12:00", [("03:00+0200", ""), ("03:00+0200", "")]),
        (
            "30 9 30 12 *",
            "Pacific/Apia",
            "2011-12-01",
            [("00:00+1400", "moved: the clocks skip 2011-12-30 09:30:00"), ("09:30+1400", "")],
        ),
    ],
)
def test_a_preview_says_what_the_clocks_do(
    expression: str, zone: str, after: str, shown: list[tuple[str, str]]
) -> None:
    start = utc(after)

    planned = preview(Cron(expression, timezone=zone), after=start, until=start + timedelta(days=900), limit=2)

    assert [(one.local.strftime("%H:%M%z"), one.note) for one in planned] == shown
    assert all(one.local.astimezone(UTC) == one.slot == one.run_at for one in planned)


def test_a_preview_shows_when_a_spread_run_is_due() -> None:
    schedule = Every(timedelta(hours=1), jitter=timedelta(minutes=5), name="beat")

    planned = preview(schedule, after=utc("2026-01-01"), until=utc("2026-01-02"), limit=24)

    assert all(one.slot <= one.run_at < one.slot + timedelta(minutes=5) for one in planned)
    assert len({one.run_at - one.slot for one in planned}) == 24
