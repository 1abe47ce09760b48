"""Targets of queues and kinds, and their error budgets."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, model_validator

from admin_api.shapes.base import Because, Shape
from jobs.operations.insight.targets import TargetSummary
from jobs.targets.target import MAX_LATENCY, MAX_SUCCESS, MIN_SUCCESS


class NewTarget(Because):
    """A target. A queue or kind is late while its oldest ready run has waited for longer than the latency.

    At least one of both parts. A part that is not given, or null, stays as it is.
    """

    latency_seconds: int | None = Field(
        None, ge=1, le=int(MAX_LATENCY.total_seconds()), examples=[30], description="How long a ready run may wait."
    )
    success: float | None = Field(
        None,
        ge=MIN_SUCCESS,
        le=MAX_SUCCESS,
        examples=[0.995],
        description="The share of ended runs that shall succeed.",
    )
    is_new: bool = Field(False, description="Also if no queue or kind has this name.")

    @model_validator(mode="after")
    def _has_a_part(self) -> NewTarget:
        if self.latency_seconds is None and self.success is None:
            raise ValueError("latency_seconds, success or both are needed")
        return self


class Target(Shape):
    """What an operator set."""

    latency_seconds: int | None
    success: float | None


class Burn(Shape):
    """What ended within a window, and how fast the budget burnt there: 1 uses it up in exactly 28 days."""

    window: Literal["5m", "30m", "1h", "6h", "3d", "28d"]
    succeeded: int
    dead: int
    rate: float


class Budget(Shape):
    """The error budget of a success target: the dead runs that it allows."""

    left: float = Field(description="The part that is left of the last 28 days: 1 all, below 0 more than used up.")
    since: datetime = Field(description="Runs that ended before are not counted.")
    burning: str | None = Field(description="`fast`, `slow` or `steady` if it burns too fast; null if it does not.")
    burns: list[Burn]


class TargetInForce(Shape):
    """The target of a queue or a kind: what an operator set, or what the class of the kind declares."""

    what: Literal["queue", "kind"]
    name: str = Field(examples=["mail"])
    latency_seconds: int | None
    success: float | None
    is_set: bool = Field(description="An operator set a part of it.")
    budget: Budget | None = Field(description="Null without a success target.")

    @classmethod
    def of(cls, seen: TargetSummary) -> TargetInForce:
        return cls.model_validate(seen.as_data())
