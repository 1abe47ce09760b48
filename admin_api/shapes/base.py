"""What every shape is: read from a record's attributes, strict about what it does not know."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from jobs.ledger.walk import Count as Counted

Seconds = Annotated[timedelta, PlainSerializer(lambda span: span.total_seconds(), return_type=float)]
"""A span, as seconds."""
Reason = Annotated[str | None, Field(max_length=500, description="Why; kept in the audit.", examples=["card mended"])]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Shape(BaseModel):
    """Part of an answer."""

    model_config = ConfigDict(from_attributes=True)


class Given(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(extra="forbid")


class Because(Given):
    """Why."""

    reason: Reason = None


class Count(Shape):
    """How many; where it is capped, that many and more."""

    number: int = Field(examples=[10000])
    is_capped: bool = Field(examples=[True])
    shown: str = Field(description="As people read it.", examples=["10,000+"])

    @classmethod
    def of(cls, count: Counted) -> Count:
        return cls(number=count.number, is_capped=count.is_capped, shown=str(count))


def values_of(record: Any, names: Any) -> dict[str, Any]:
    """The attributes of these names, those that the record has."""
    return {name: getattr(record, name) for name in names if hasattr(record, name)}
