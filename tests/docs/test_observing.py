"""docs/observing.md: the log events that it names are those that the code logs."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from types import ModuleType

from jobs.observe import log_format
from tests.docs.pointers import ROOT
from tests.docs.test_site import reference as reference

PAGE = (ROOT / "docs" / "observing.md").read_text(encoding="utf-8")
LOGS = PAGE.partition("## Logs")[2].partition("\n## ")[0]
EVENT = re.compile(r"`([A-Z][a-z]+(?:\s+[a-z:]+)+)`")
OF_ATTEMPTS = next(line for line in LOGS.splitlines() if line.startswith("| `event` |"))


@cache
def events(reference: ModuleType) -> set[str]:
    return {line.split(" | ")[0].removeprefix("| ") for line in reference.log_events().splitlines()[5:]}


def test_each_log_event_on_the_page_is_logged_under_that_text(reference: ModuleType) -> None:
    named = {" ".join(event.split()) for event in EVENT.findall(LOGS)}

    assert len(named) >= 6
    assert named - events(reference) - {log_format.DROPPED} == set()


def test_no_log_event_of_any_package_ends_in_a_full_stop(reference: ModuleType) -> None:
    assert [event for event in events(reference) if event.endswith(".")] == []


def test_the_table_has_each_event_with_which_an_attempt_is_settled(reference: ModuleType) -> None:
    source = Path(ROOT / "jobs" / "observe" / "log.py")
    settled = {event for event, *_, fields in map(tuple, reference._events(source)) if fields == "see Observing"}

    assert settled
    assert set(EVENT.findall(OF_ATTEMPTS)) == settled
