"""Moments that do not exist in this machine's time zone are shown, and refused as input. K.15"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from admin_cli.terminal.cells import _local
from jobs.definition.enqueue_options import lapse, when
from jobs.errors import EnqueueRefused
from jobs.operations.runs.explain import _clock

LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.fixture
def in_tokyo(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_the_last_hours_of_the_calendar_are_shown_east_of_utc(in_tokyo):
    assert _local(LAST, utc=False) == LAST
    assert _clock(LAST) == "9999-12-31 23:59"


@pytest.mark.parametrize("text", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"])
def test_a_moment_that_utc_does_not_have_is_refused_in_words(text):
    moment = datetime.fromisoformat(text)

    for ask in (lambda: when(None, moment), lambda: lapse(moment)):
        with pytest.raises(EnqueueRefused, match="beyond the calendar"):
            ask()
    assert when(None, LAST) == {"run_at": LAST}
