"""Plain arguments: written without reading them back, and always as the full check would have written them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from functools import cached_property
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PrivateAttr,
    Strict,
    ValidationError,
    computed_field,
    create_model,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

import jobs
from jobs.client.plain_arguments import plain_text
from jobs.definition.arguments import write_arguments
from jobs.errors import ArgumentsRefused

LIMIT = 400


class Level(IntEnum):
    LOW = 1


class Word(str):
    """A text with more to it than JSON holds."""


class Inner(BaseModel):
    n: int


def plain(annotation: Any, **config: Any) -> type[BaseModel]:
    """A class with the config of a job and one field."""
    return create_model("Plain", __config__={**jobs.Job.model_config, **config}, value=(annotation, ...))


PLAIN = [
    str,
    int,
    bool,
    float,
    None,
    UUID,
    Literal["a", "b"],
    int | None,
    list[str],
    list[int],
    list[UUID | None],
    dict[str, float],
    list[dict[str, bool | None]],
    Annotated[str, Field(description="A word.")],
]
OTHERS = [
    Annotated[int, Field(gt=0)],
    Annotated[str, Field(max_length=3)],
    Annotated[str, AfterValidator(str.upper)],
    Annotated[str, BeforeValidator(lambda value: value)],
    Annotated[str, PlainSerializer(str.upper)],
    Annotated[int, Strict()],
    Annotated[int, Field(alias="other")],
    Annotated[int, Field(exclude=True)],
    Literal[1, 2],
    str | int,
    datetime,
    Decimal,
    Level,
    Inner,
    bytes,
    set[int],
    tuple[int, ...],
    dict[int, str],
]
CLASSES = [plain(one) for one in (*PLAIN, *OTHERS, Any, list[Any], dict[str, Any])]
PROVEN = CLASSES[: len(PLAIN)]

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1]),
    st.floats(),
    st.text(st.characters(codec=None, exclude_categories=())),
    st.sampled_from(["\0", "\\u0000", "NaN", "[" * 80, "9" * 30, "é" * LIMIT, "a", Word("a"), Level.LOW]),
    st.uuids(),
    st.decimals(),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.binary(max_size=5),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner),
        st.dictionaries(st.one_of(st.text(max_size=3), st.integers(), st.just(Word("k"))), inner, max_size=3),
    ),
    max_leaves=4,
)


def full_text(job: BaseModel) -> str | None:
    try:
        return write_arguments(job, kind="plain", max_bytes=LIMIT)
    except ArgumentsRefused:
        return None


@given(cls=st.sampled_from(CLASSES), value=VALUES)
@example(cls=plain(str), value="\ud800")
@example(cls=plain(float), value=-0.0)
@example(cls=plain(float), value=1e18)
@example(cls=plain(int), value=True)
def test_what_is_written_without_a_check_would_have_passed_it(cls, value):
    made = [cls.model_construct(value=value)]
    try:
        made.append(cls(value=value))
    except ValidationError:
        pass

    for job in made:
        found = plain_text(job, max_bytes=LIMIT)
        if found is not None or (cls in PROVEN and job is not made[0]):
            assert found == full_text(job)


@pytest.mark.parametrize("cls", [plain(one) for one in OTHERS])
def test_fields_that_may_change_a_value_get_the_full_check(cls):
    job = cls.model_construct(value=1)

    assert plain_text(job, max_bytes=LIMIT) is None


class Checked(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def double(cls, value: int) -> int:
        return value * 2


class Whole(BaseModel):
    n: int

    @model_validator(mode="after")
    def fine(self) -> Whole:
        return self


class Written(BaseModel):
    n: int

    @field_serializer("n")
    def half(self, value: int) -> int:
        return value // 2


class WrittenWhole(BaseModel):
    n: int

    @model_serializer
    def nothing(self) -> dict[str, int]:
        return {}


class Computed(BaseModel):
    n: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return self.n * 2


class Finished(BaseModel):
    n: int

    def model_post_init(self, context: Any) -> None:
        self.n += 1


class Private(BaseModel):
    n: int
    _lock: object = PrivateAttr(default_factory=object)


class OwnInit(BaseModel):
    n: int

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)


class OwnJson(BaseModel):
    n: int

    def model_dump_json(self, **options: Any) -> str:
        return "{}"


class OwnRead(BaseModel):
    n: int

    @classmethod
    def model_validate_json(cls, *given: Any, **options: Any) -> Any:
        return cls(n=0)


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    n: int


class Stripped(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True)
    n: str = " a "


class Recursive(BaseModel):
    n: int
    more: list[Recursive] = []


CODE = (Checked, Whole, Written, WrittenWhole, Computed, Finished, Private, OwnInit, OwnJson, OwnRead)


@pytest.mark.parametrize("cls", [*CODE, Open, Stripped, Recursive])
def test_classes_with_code_or_config_of_their_own_get_the_full_check(cls):
    assert plain_text(cls.model_construct(n=4), max_bytes=LIMIT) is None


class Late(BaseModel):
    model_config = jobs.Job.model_config
    n: int
    names: list[str] = []

    @cached_property
    def double(self) -> int:
        return self.n * 2


def lacks_a_value(job: Late) -> None:
    del job.__dict__["n"]


def has_a_cached_property(job: Late) -> None:
    assert job.double == 8


def holds_a_changed_list(job: Late) -> None:
    job.names.append(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [lacks_a_value, has_a_cached_property, holds_a_changed_list])
def test_a_changed_job_gets_the_full_check(change: Callable[[Late], None]):
    job = Late(n=4)
    assert plain_text(job, max_bytes=LIMIT) == '{"n":4,"names":[]}'

    change(job)

    assert plain_text(job, max_bytes=LIMIT) is None


def test_a_class_that_is_rebuilt_is_looked_at_again():
    cls = plain(int)
    assert plain_text(cls(value=5), max_bytes=LIMIT) == '{"value":5}'

    cls.model_fields["value"].metadata.append(AfterValidator(lambda value: value + 1))
    cls.model_rebuild(force=True)

    assert plain_text(cls(value=5), max_bytes=LIMIT) is None
