"""docs/performance.md: says what the results say, and is linked."""

from __future__ import annotations

import json

from benchmarks.report.goals import GOALS
from benchmarks.report.page import PAGE, RESULTS, ROOT, make
from benchmarks.report.texts import MEANINGS, SHORTFALLS


def test_the_page_is_the_one_that_is_made_from_the_results() -> None:
    assert PAGE.read_text() == make(RESULTS), "make it again: python -m benchmarks.report.page"


def test_every_line_of_the_results_says_how_it_was_measured() -> None:
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()]

    assert {line["program"] for line in lines} <= {*MEANINGS, "profile"}
    for line in lines:
        assert line["repeats"] == len(line["values"]) >= 1
        assert line["low"] <= line["median"] <= line["high"]
        assert {"python", "jobledger", "dramatiq"} <= set(line["versions"])
        assert {"cores", "processor", "fsync_ms", "load"} <= set(line["machine"])
        assert line["settings"]["repeats"] >= 1


def test_reasons_are_given_for_goals_that_there_are() -> None:
    assert set(SHORTFALLS) <= {goal.name for goal in GOALS}


def test_every_goal_is_on_the_page_with_what_was_measured() -> None:
    page = PAGE.read_text()

    for goal in GOALS:
        assert f"| {goal.name} |" in page


def test_the_readme_leads_to_the_page() -> None:
    assert "docs/performance.md" in (ROOT / "README.md").read_text()
