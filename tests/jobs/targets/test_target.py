"""Targets of classes: what they may say, and how a budget burns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs import DefinitionError, Target
from jobs.formats.percent import format_percent, parse_percent
from jobs.targets.burn import WINDOWS, Budget, Count, burn_of

SINCE = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "latency=, success= or both"),
        ({"latency": timedelta(seconds=1.5)}, "whole seconds"),
        ({"latency": timedelta(days=367)}, "366 days"),
        ({"latency": 30}, "whole seconds"),
        ({"success": 1.0}, "0.5 to 0.99999"),
        ({"success": 99.5}, "0.5 to 0.99999"),
        ({"success": "most"}, "0.5 to 0.99999"),
        ({"success": "100%"}, "0.5 to 0.99999"),
        ({"success": True}, "0.5 to 0.99999"),
        ({"success": float("nan")}, "0.5 to 0.99999"),
    ],
)
def test_a_target_that_cannot_be_kept_or_missed_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        Target(**given)


@pytest.mark.parametrize(
    ("text", "share"), [("99.5%", 0.995), ("99.5", 0.995), ("0.995", 0.995), (" 99.9 % ", 0.999), ("99.999%", 0.99999)]
)
def test_a_share_is_read_and_shown_as_people_write_it(text: str, share: float) -> None:
    assert parse_percent(text) == share
    assert parse_percent(format_percent(share)) == share
    assert Target(success=text).success == share


@pytest.mark.parametrize("text", ["", "%", "nan", "inf%", "1e400%x", "٩٩%", "9_9%", "--5"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no percentage"):
        parse_percent(text)


def budget(**dead_of_1000: int) -> Budget:
    dead = {window: dead_of_1000.get(f"in_{window}", 0) for window in WINDOWS}
    burns = tuple(burn_of(window, Count(1000 - number, number), success=0.99) for window, number in dead.items())
    return Budget(what="queue", name="mail", success=0.99, is_set=True, since=SINCE, burns=burns)


@pytest.mark.parametrize(
    ("dead", "rule"),
    [
        ({}, None),
        ({"in_1h": 150, "in_5m": 150}, "fast"),
        ({"in_1h": 150}, None),  # It is over.
        ({"in_5m": 1000}, None),  # It does not matter yet.
        ({"in_6h": 70, "in_30m": 70}, "slow"),
        ({"in_3d": 12, "in_6h": 12}, "steady"),
        ({"in_3d": 10, "in_6h": 10}, None),  # As planned.
    ],
)
def test_a_budget_burns_if_both_windows_say_so(dead: dict[str, int], rule: str | None) -> None:
    broken = budget(**dead).broken_rule

    assert (broken.name if broken else None) == rule


def test_one_dead_run_is_no_fire_and_nothing_ended_is_none_either() -> None:
    one = tuple(burn_of(window, Count(0, 1), success=0.99) for window in WINDOWS)
    none = tuple(burn_of(window, Count(), success=0.99) for window in WINDOWS)

    for burns in (one, none):
        seen = Budget(what="kind", name="Send", success=0.99, is_set=False, since=SINCE, burns=burns)
        assert seen.broken_rule is None
    assert budget(in_28d=5).left == pytest.approx(0.5)
