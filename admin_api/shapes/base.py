"""The base of all shapes: reads a record's attributes, and refuses unknown fields."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from jobs.ledger.queries.pagination import RunCount as Counted


def in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is beyond the calendar in UTC") from None


Seconds = Annotated[timedelta, PlainSerializer(lambda span: span.total_seconds(), return_type=float)]
"""A span, as seconds."""
Reason = Annotated[
    str | None, Field(max_length=500, description="Reason, for the audit log.", examples=["card mended"])
]
Moment = Annotated[AwareDatetime, AfterValidator(in_utc)]
"""A moment with a time zone, inside the calendar in UTC."""
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Shape(BaseModel):
    """Part of a response."""

    model_config = ConfigDict(from_attributes=True)

    @classmethod
    def of_values(cls, values: dict[str, Any]) -> Self:
        """Build it from a record's values, one for every field, unchecked. ``model_construct`` looks for missing
        fields, and takes five times as long."""
        one = cls.__new__(cls)
        set_slot(one, "__dict__", values)
        set_slot(one, "__pydantic_fields_set__", set(values))
        set_slot(one, "__pydantic_extra__", None)
        set_slot(one, "__pydantic_private__", None)
        return one


set_slot = object.__setattr__
PARTS: dict[str, Any] = {
    "selector": {"state": ["dead"], "kind": ["ChargeCard"], "since": "1h"},
    "when": {"type": "cron", "expression": "0 9 * * *", "timezone": "Europe/Paris"},
}
"""Examples of fields that are shapes themselves."""


def _example(schema: dict[str, Any]) -> None:
    """A body's example, from its fields'."""
    said = {name: PARTS[name] for name, says in schema["properties"].items() if name in PARTS and "$ref" in says}
    said |= {name: says["examples"][0] for name, says in schema["properties"].items() if "examples" in says}
    schema["examples"] = [said]


class Given(BaseModel):
    """The body of a request. A field that must be given has an example."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_example)


class Because(Given):
    """Why."""

    reason: Reason = None


class Count(Shape):
    """The count; a capped one means this many or more."""

    number: int = Field(examples=[10000])
    is_capped: bool = Field(examples=[True])
    shown: str = Field(description="The count as text.", examples=["10,000+"])

    @classmethod
    def of(cls, count: Counted) -> Count:
        return cls(number=count.number, is_capped=count.is_capped, shown=str(count))


def values_of(record: Any, names: Any) -> dict[str, Any]:
    """Those of the named attributes that the record has."""
    return {name: getattr(record, name) for name in names if hasattr(record, name)}
