"""What counts as equal arguments (K.17); docs/jobs.md has the table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import dramatiq
import pytest
from pydantic import BaseModel, Field

import jobs
from jobs.definition.arguments import read_arguments, write_arguments
from jobs.definition.equality import canonical, equal
from jobs.errors import ArgumentsRefused
from jobs.messages.keys import admission_of
from jobs.testing import Ledger

PARIS = ZoneInfo("Europe/Paris")
DOUBLED = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
"""02:30 in Paris for the first time of that day; an hour later for the second."""


class Line(BaseModel, frozen=True):
    price: Decimal = Decimal(0)
    at: datetime | None = None


@dataclass(frozen=True)
class Span:
    begin: datetime


class Same(jobs.Job, kind="equality.Same"):
    words: set[str] = Field(set())
    numbers: frozenset[int] = frozenset()
    nested: dict[str, list[set[int]]] = Field({})
    price: Decimal = Decimal(0)
    ratio: float = 0.0
    when: datetime | None = None
    whens: set[datetime] = Field(set())
    by_when: dict[datetime, int] = Field({})
    clock: time | None = None
    line: Line = Line()
    lines: frozenset[Line] = frozenset()
    span: Span | None = None
    either: Span | Line | datetime | None = None
    anything: Any = None

    def idempotency_key(self) -> str:
        return "k"

    def perform(self) -> None: ...


EQUAL = [
    ({"numbers": [0, 8, 16]}, {"numbers": [16, 8, 0]}),
    ({"nested": {"a": [{0, 8}], "b": []}}, {"nested": {"b": [], "a": [{8, 0}]}}),
    ({"price": Decimal("1.0")}, {"price": Decimal("1.00")}),
    ({"price": Decimal("100")}, {"price": Decimal("1E+2")}),
    ({"price": Decimal("-0.00")}, {"price": Decimal("0")}),
    ({"price": Decimal("1." + "1" * 60)}, {"price": Decimal("1." + "1" * 60 + "0")}),
    ({"price": Decimal("1E+200")}, {"price": Decimal("10E+199")}),
    ({"ratio": -0.0}, {"ratio": 0.0}),
    ({"anything": 1}, {"anything": 1.0}),
    ({"anything": {"b": 1, "a": 2}}, {"anything": {"a": 2, "b": 1}}),
    ({"when": DOUBLED}, {"when": DOUBLED.astimezone(PARIS)}),
    ({"when": DOUBLED}, {"when": DOUBLED.astimezone(timezone(timedelta(hours=-9, minutes=-30)))}),
    ({"whens": {DOUBLED}}, {"whens": {DOUBLED.astimezone(PARIS)}}),
    ({"by_when": {DOUBLED: 1}}, {"by_when": {DOUBLED.astimezone(PARIS): 1}}),
    ({"clock": time(12, tzinfo=UTC)}, {"clock": time(14, tzinfo=timezone(timedelta(hours=2)))}),
    ({"line": Line(price=Decimal("2.50"))}, {"line": Line(price=Decimal("2.5"))}),
    ({"lines": [Line(at=DOUBLED)]}, {"lines": [Line(at=DOUBLED.astimezone(PARIS))]}),
    ({"span": Span(DOUBLED)}, {"span": Span(DOUBLED.astimezone(PARIS))}),
]
DIFFERENT = [
    ({"numbers": [0, 8]}, {"numbers": [0, 8, 16]}),
    ({"price": Decimal("1.0")}, {"price": Decimal("1.01")}),
    ({"price": Decimal("1." + "1" * 60)}, {"price": Decimal("1." + "1" * 61)}),
    ({"price": Decimal("1")}, {"price": Decimal("-1")}),
    ({"price": Decimal("1E+200")}, {"price": Decimal("1E+201")}),
    ({"anything": 1}, {"anything": True}),
    ({"anything": 1}, {"anything": "1"}),
    ({"anything": [0, 8]}, {"anything": [8, 0]}),
    ({"when": DOUBLED}, {"when": DOUBLED + timedelta(hours=1)}),
    ({"when": DOUBLED.astimezone(PARIS)}, {"when": (DOUBLED + timedelta(hours=1)).astimezone(PARIS)}),
    ({"clock": time(12, tzinfo=UTC)}, {"clock": time(12)}),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal_arguments_are_answered_with_the_run_that_holds_the_key(
    one: dict[str, Any], other: dict[str, Any], jobs_ledger: Ledger
) -> None:
    first = Same(**one).enqueue()

    again = Same(**other).enqueue()

    assert (again.id, again.created) == (first.id, False)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_arguments_conflict(one: dict[str, Any], other: dict[str, Any], jobs_ledger: Ledger) -> None:
    Same(**one).enqueue()

    with pytest.raises(jobs.KeyConflict):
        Same(**other).enqueue()


def test_a_set_is_stored_and_compared_alike_in_every_process() -> None:
    code = (
        "from jobs import Job\nfrom jobs.definition.arguments import write_arguments\n"
        "from jobs.definition.equality import canonical\n"
        "class Tag(Job):\n    tags: set[str]\n    deep: dict[str, frozenset[tuple[str, int]]]\n"
        "    def perform(self): ...\n"
        "job = Tag(tags={'red', 'green', 'blue', 'mauve'}, deep={'a': {('x', 1), ('y', 2), ('z', 3)}})\n"
        "text = write_arguments(job, kind='Tag', max_bytes=1000)\nprint(text, canonical(job, text))"
    )

    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip

    assert len(said) == 1
    assert json.loads(said.pop().split(" ")[0])["tags"] == ["blue", "green", "mauve", "red"]


@pytest.mark.parametrize("minutes", range(0, 240, 30))
@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"])
def test_a_local_moment_is_taken_while_the_clocks_show_an_hour_twice(zone: str, minutes: int) -> None:
    start = {
        "Europe/Paris": DOUBLED, "America/New_York": datetime(2026, 11, 1, 5, tzinfo=UTC),
        "Australia/Lord_Howe": datetime(2026, 4, 4, 14, tzinfo=UTC),
        "Africa/Casablanca": datetime(2026, 2, 15, 1, tzinfo=UTC),
    }[zone]  # fmt: skip
    when = (start + timedelta(minutes=minutes - 60)).astimezone(ZoneInfo(zone))
    job = Same(
        when=when, whens={when}, by_when={when: 1}, line=Line(at=when), lines=frozenset({Line(at=when)}),
        span=Span(when), either=when,
    )  # fmt: skip

    text = write_arguments(job, kind="Same", max_bytes=10_000)

    back = read_arguments(Same, text, kind="Same")
    assert back.when is not None
    assert back.when.astimezone(UTC) == when.astimezone(UTC)


def test_a_moment_of_the_doubled_hour_can_be_asserted_in_a_test(jobs_ledger: Ledger) -> None:
    when = (DOUBLED + timedelta(hours=1)).astimezone(PARIS)

    Same(when=when).enqueue()

    jobs_ledger.assert_enqueued(Same, when=when)
    with pytest.raises(AssertionError):
        jobs_ledger.assert_enqueued(Same, when=DOUBLED)


@pytest.mark.parametrize("value", [(1, 2), {1, 2}, Decimal("1.5"), DOUBLED.astimezone(PARIS), Line()])
def test_a_value_that_returns_as_another_type_is_still_refused(value: Any) -> None:
    with pytest.raises(ArgumentsRefused, match="anything"):
        write_arguments(Same(anything=value), kind="Same", max_bytes=10_000)


def test_moments_at_the_ends_of_time_are_compared() -> None:
    east, west = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
    moments = [
        datetime(1, 1, 1, tzinfo=east),
        datetime(1, 1, 1, 1, tzinfo=east),
        datetime(9999, 12, 31, 23, tzinfo=west),
    ]

    said = [canonical(one, f'"{one.isoformat()}"') for one in moments]

    assert len(set(said)) == 3
    assert all(not equal(one, other) for one, other in pairwise(moments))


def test_plain_arguments_have_the_canonical_text_that_earlier_releases_compared() -> None:
    text = '{"b":[1,true,null,0.5,"\\u00e9"],"a":{"when":"2026-01-01T00:00:00Z","price":"12.5"}}'
    value = {
        "b": [1, True, None, 0.5, "\u00e9"],
        "a": {"when": datetime(2026, 1, 1, tzinfo=UTC), "price": Decimal("12.50")},
    }

    assert canonical(value, text) == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize("encoder", [dramatiq.JSONEncoder(), dramatiq.PickleEncoder()])
def test_messages_of_dramatiq_are_compared_by_the_same_rules(encoder: Any) -> None:
    def said(*args: Any) -> str:
        message = dramatiq.Message(queue_name="q", actor_name="a", args=args, kwargs={}, options={"key": "k"})
        return str(admission_of(None, message)["arguments_hash"])

    before = dramatiq.get_encoder()
    dramatiq.set_encoder(encoder)
    try:
        assert said(1.0, {"a": 1, "b": 2}) == said(1, {"b": 2, "a": 1})
        assert said([0, 8]) != said([8, 0])
        if isinstance(encoder, dramatiq.PickleEncoder):
            assert said({0, 8}) == said({8, 0})
            assert said(Decimal("1.0"), DOUBLED) == said(Decimal("1.00"), DOUBLED.astimezone(PARIS))
            assert said({0, 8}) != said({0, 16})
    finally:
        dramatiq.set_encoder(before)
