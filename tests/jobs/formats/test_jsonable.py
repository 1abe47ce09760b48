"""Any value becomes what JSON has; a caller chooses how spans are written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from jobs.formats.duration import format_duration
from jobs.formats.jsonable import jsonable
from jobs.states import RunState


@dataclass
class Row:
    at: datetime
    wait: timedelta


def test_values_of_every_kind_become_json_values() -> None:
    row = Row(datetime(2026, 5, 1, tzinfo=UTC), timedelta(minutes=90))

    assert jsonable(
        {1: row, "days": {date(2026, 5, 1)}, "n": math.nan, "d": Decimal("1.10"), "s": RunState.DEAD, "u": UUID(int=1)}
    ) == {
        "1": {"at": "2026-05-01T00:00:00Z", "wait": 5400.0},
        "days": ["2026-05-01"],
        "n": None,
        "d": "1.10",
        "s": "dead",
        "u": "00000000-0000-0000-0000-000000000001",
    }


def test_spans_are_written_as_the_caller_asks_at_every_depth() -> None:
    assert jsonable({"every": [timedelta(minutes=90)]}, span=format_duration) == {"every": ["1h30m"]}
