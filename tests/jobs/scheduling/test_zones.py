from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobs.errors import DefinitionError
from jobs.scheduling.zones import changes, names, zone
from tests.jobs.scheduling.calendar_walk import transitions

LIVELY = [
    "Europe/Paris",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "Asia/Gaza",
]


@pytest.mark.parametrize("name", LIVELY)
def test_every_change_in_a_zones_file_is_found_and_no_other(name: str) -> None:
    start, end = datetime(1990, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)

    found = [change.at for change in changes(name, start, end)]

    assert found == transitions(name, start, end)
    assert len(found) > 20


def test_a_span_holds_the_change_at_its_end_and_not_the_one_at_its_start() -> None:
    at = datetime(2026, 3, 29, 1, tzinfo=UTC)

    assert [one.at for one in changes("Europe/Paris", datetime(2026, 3, 1, tzinfo=UTC), at)] == [at]
    assert list(changes("Europe/Paris", at, datetime(2026, 4, 1, tzinfo=UTC))) == []


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("Europe/Pariss", "Europe/Paris"),
        ("paris", "Europe/Paris"),
        ("europe/PARIS", "Europe/Paris"),
        ("New York", "America/New_York"),
        ("../../etc/passwd", "IANA"),
        ("", "IANA"),
        (None, "IANA"),
    ],
)
def test_a_wrong_zone_is_refused_and_the_nearest_is_named(wrong: str, hint: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        zone(wrong)

    assert hint in str(caught.value)
    assert repr(wrong) in str(caught.value)


def test_every_name_that_is_listed_can_be_read() -> None:
    assert len(names()) > 500
    assert {zone(name).key for name in names()} == names()
