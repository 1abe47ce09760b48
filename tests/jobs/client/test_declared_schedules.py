"""What code declares: found, named, and refused with its place in the source."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.client.declared_schedules import Declared, declared
from jobs.definition import registry
from jobs.errors import DefinitionError

HEAD = """
from datetime import timedelta
from jobs import At, Cron, Every, Job

class Report(Job):
    region: str = "eu"
    def perform(self):
        pass
"""
LINES = HEAD.count("\n")

Load = Callable[[str], list[Declared]]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Imports a module that is ``HEAD`` and the text given; what it declares. No other job is known meanwhile."""
    monkeypatch.setattr(registry, "_classes", {})
    monkeypatch.setattr(registry, "_aliases", {})
    monkeypatch.syspath_prepend(str(tmp_path))

    def read(text: str) -> list[Declared]:
        (tmp_path / "declaring.py").write_text(HEAD + text)
        __import__("declaring")
        return declared()

    yield read
    sys.modules.pop("declaring", None)


def test_a_class_carries_its_schedule_under_its_kind(load: Load) -> None:
    (one,) = load('class Nightly(Report, schedule=Cron("0 3 * * *")):\n    pass\n')

    assert (one.name, one.job.options.kind) == ("Nightly", "Nightly")
    assert one.place == f"declaring:{LINES + 1}"


def test_a_subclass_does_not_inherit_a_schedule(load: Load) -> None:
    found = load(
        'class Nightly(Report, schedule=Cron("0 3 * * *")):\n    pass\nclass Other(Nightly, kind="Other"):\n    pass\n'
    )

    assert [one.name for one in found] == ["Nightly"]


def test_a_module_lists_schedules_of_jobs_with_arguments(load: Load) -> None:
    found = load(
        "schedules = [\n"
        "    Every(timedelta(minutes=5), job=Report),\n"
        '    Cron("0 9 * * *", job=Report(region="us"), name="us-report"),\n'
        "]\n"
    )

    assert [(one.name, one.job.model_dump()) for one in found] == [
        ("Report", {"region": "eu"}),
        ("us-report", {"region": "us"}),
    ]
    assert found[1].line == LINES + 3


def test_two_of_one_name_are_refused_with_both_places(load: Load) -> None:
    with pytest.raises(DefinitionError) as caught:
        load("schedules = [\n    Every(timedelta(minutes=5), job=Report),\n    Cron('@daily', job=Report),\n]\n")

    assert "Two schedules are called 'Report'" in str(caught.value)
    assert f"declaring.py, line {LINES + 2} and" in str(caught.value)
    assert f"declaring.py, line {LINES + 3}." in str(caught.value)


def test_a_scheduled_class_needs_a_default_for_every_field(load: Load) -> None:
    with pytest.raises(DefinitionError, match="its field 'order_id' has no default"):
        load('class Charge(Report, schedule=Cron("@daily")):\n    order_id: int\n')


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ("[Every(timedelta(minutes=5))]", "needs its job"),
        ("[Every(timedelta(minutes=5), job=7)]", "needs its job, got 7"),
        ("[Every(timedelta(minutes=5), job=Report), 'daily']", "got 'daily'"),
    ],
)
def test_an_invalid_entry_is_refused_with_its_place(load: Load, listed: str, said: str) -> None:
    with pytest.raises(DefinitionError, match=said) as caught:
        load(f"schedules = {listed}\n")

    assert f"declaring.py, line {LINES + 1}" in str(caught.value)


@pytest.mark.parametrize(
    ("keyword", "said"),
    [
        ('"@daily"', "takes a Cron"),
        ('Cron("0 3 * *")', "4 fields"),
        ('Cron("0 3 * * *", timezone="Europe/Pari")', "Europe/Paris"),
        ('Cron("0 3 * * *", job=Report)', "without job="),
    ],
)
def test_an_invalid_class_keyword_fails_where_the_class_is_defined(load: Load, keyword: str, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        load(f"class Nightly(Report, schedule={keyword}):\n    pass\n")


def test_other_modules_that_call_something_schedules_are_left_alone(load: Load) -> None:
    assert load("schedules = ['9:00', '17:00']\n") == []
