"""Limits and their keys, and changes of them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from admin_api.shapes.base import Because, Shape
from jobs.ledger.limits.reports import LimitRecord


class Limit(Shape):
    """A limit, or one key of it. `key` is `(hidden)` without `arguments:read`."""

    name: str = Field(examples=["stripe"])
    key: str | None = Field(description="Null for the limit itself.", examples=["eu-17"])
    keyed_by: str | None = Field(description="The field whose values are its keys; null: one limit for all.")
    most: int | None = Field(description="What the code declares; null for a key.")
    set_most: int | None = Field(description="What an operator set. It wins until it is cleared.")
    hold_until: datetime | None = Field(description="No run starts before; null if it is not held.")
    in_use: int = Field(description="Runs that have a slot of it now.")
    parked: int = Field(description="Runs that wait for a slot.")
    rate: str | None = Field(description="The rate that the code declares; null for a key.", examples=["600/m"])
    set_rate: str | None = Field(description="The rate that an operator set. It wins until it is cleared.")
    burst: int | None = Field(description="How many may start at once after a pause; null: as the rate has it.")
    rate_keyed_by: str | None = Field(description="As `keyed_by`, of the rate.")
    next_slot_at: datetime | None = Field(description="When a run that asked for a slot now would start; null: now.")
    held_by: UUID | None = Field(description="The run that asked for the hold; null: an operator.")


class LimitDetail(Limit):
    keys: list[Limit] = Field(description="Keys in use, full or set; 100 at most.")

    @classmethod
    def whole(cls, limit: LimitRecord, keys: list[LimitRecord]) -> LimitDetail:
        return cls(**Limit.model_validate(limit).model_dump(), keys=[Limit.model_validate(one) for one in keys])


class NewLimit(Because):
    """A change of a limit; what is left out stays as it is. A smaller number interrupts nothing."""

    key: str | None = Field(None, min_length=1, max_length=1000, description="Only for this key.")
    most: int | None = Field(None, ge=1, le=1_000_000, examples=[3])
    rate: str | None = Field(None, max_length=40, examples=["100/m"], description="Start so many runs within a span.")
    hold_seconds: float | None = Field(None, gt=0, le=3e9, description="Start no run for this long.")
