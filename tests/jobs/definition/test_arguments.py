"""Arguments: JSON that comes back equal, or a refusal that names the field."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cached_property
from typing import Any
from uuid import UUID

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, PrivateAttr, SecretStr

import jobs
from jobs.definition.arguments import MAX_DEPTH, read_arguments, write_arguments
from jobs.errors import ArgumentsRefused
from tests.jobs.definition.argument_jobs import Free, write


class Colour(Enum):
    RED = "red"


class Inner(BaseModel):
    n: int


class Outer(Inner):
    extra: str = "lost"


@dataclass
class Point:
    x: int


class Typed(jobs.Job, kind="arguments.Typed"):
    amount: Decimal = Decimal("12.50")
    at: datetime = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    day: date = date(2026, 1, 2)
    span: timedelta = timedelta(days=3, microseconds=1)
    uid: UUID = UUID(int=5)
    colour: Colour = Colour.RED
    inner: Inner = Inner(n=1)
    point: Point = Point(2)
    several: frozenset[int] = frozenset({3, 1})
    pair: tuple[int, str] = (1, "a")
    raw: bytes = b"abc"
    maybe: int | None = None

    def perform(self) -> None: ...


class Nested(jobs.Job, kind="arguments.Nested"):
    inner: Inner

    def perform(self) -> None: ...


class Aliased(jobs.Job, kind="arguments.Aliased"):
    order_id: int = Field(alias="orderId")
    customer: int = Field(validation_alias=AliasChoices("customer", "client"))
    note: str = Field("", serialization_alias="remark")

    def perform(self) -> None: ...


class Private(jobs.Job, kind="arguments.Private"):
    n: int
    _lock: object = PrivateAttr(default_factory=object)

    def perform(self) -> None: ...


@dataclass
class Moment:
    at: datetime


class Open(jobs.Job, kind="arguments.Open"):
    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True)
    moment: Moment | None = None
    by_moment: dict[datetime, int] = Field({})

    def perform(self) -> None: ...


class Secret(jobs.Job, kind="arguments.Secret"):
    password: SecretStr

    def perform(self) -> None: ...


def test_typed_arguments_come_back_equal():
    job = Typed()

    assert read_arguments(Typed, write(job), kind="Typed") == job


def test_fields_with_aliases_are_stored_by_name_and_read_by_either():
    job = Aliased(orderId=1, client=2, note="x")

    assert json.loads(write(job)) == {"order_id": 1, "customer": 2, "note": "x"}
    assert read_arguments(Aliased, write(job), kind="Aliased") == Aliased(order_id=1, customer=2, note="x") == job
    assert read_arguments(Aliased, '{"orderId": 1, "client": 2, "note": "x"}', kind="Aliased") == job


def test_private_attributes_are_the_objects_own_and_not_stored():
    assert write(Private(n=1)) == '{"n":1}'


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"moment": Moment(datetime(2026, 1, 1))}, "moment.at"),
        ({"by_moment": {datetime(2026, 1, 1): 1}}, "by_moment"),
        ({"more": datetime(2026, 1, 1)}, "more"),
    ],
)
def test_a_naive_datetime_is_found_wherever_it_hides(arguments, field):
    with pytest.raises(ArgumentsRefused, match="without a time zone") as caught:
        write(Open(**arguments))

    assert caught.value.field == field


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        [1, {"a": -math.inf}],
        "a\0b",
        {"a\0b": 1},
        "\ud800",
        ["x\udfff"],
        datetime(2026, 1, 1),
        [datetime(2026, 1, 1)],
        {"at": datetime(2026, 1, 1)},
        2**63,
        -(2**64),
        [10**30],
        {"NaN": 10**5000},
        ["\ud800", 10**5000],
        {1: 2},
        {1, 2},
        (1, 2),
        b"\xff\xfe",
        object(),
        lambda: None,
        Inner(n=1),
        deep(MAX_DEPTH + 1),
        deep(500),
        datetime(2026, 1, 1, tzinfo=UTC),
        Decimal("1.5"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_that_json_changes_are_refused_with_a_remedy(value):
    with pytest.raises(ArgumentsRefused) as caught:
        write(Free(value=value))

    assert str(caught.value).count("\n") == 0
    assert "arguments.Free" in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "value", [2**63 - 1, -(2**63) + 1, "\\u0000", "\U0001f600", deep(MAX_DEPTH - 1), 1e308, -0.0, "9" * 30]
)
def test_values_at_the_limits_are_stored(value):
    assert read_arguments(Free, write(Free(value=value)), kind="Free").value == value


def test_a_secret_that_would_be_stars_is_refused_and_not_shown():
    with pytest.raises(ArgumentsRefused) as caught:
        write(Secret(password=SecretStr("hunter2")))

    assert caught.value.field == "password"
    assert "hunter2" not in str(caught.value)


def test_a_subclass_that_would_lose_its_fields_is_refused():
    with pytest.raises(ArgumentsRefused) as caught:
        write(Nested(inner=Outer(n=1, extra="x")))

    assert caught.value.field == "inner"


def test_a_time_of_day_needs_no_zone():
    class Daily(jobs.Job, kind="arguments.Daily"):
        at: time

        def perform(self) -> None: ...

    assert read_arguments(Daily, write(Daily(at=time(3, 4))), kind="Daily") == Daily(at=time(3, 4))


class Doubled(jobs.Job, kind="arguments.Doubled"):
    n: int

    @cached_property
    def double(self) -> int:
        return 2 * self.n

    def perform(self) -> None: ...


def test_a_cached_property_that_was_read_is_no_argument() -> None:
    job = Doubled(n=3)
    assert job.double == 6

    assert json.loads(write_arguments(job, kind="Doubled", max_bytes=1000)) == {"n": 3}
