"""Forecasts of queues, and the signal for autoscalers."""

from __future__ import annotations

from pydantic import Field

from admin_api.shapes.base import Shape


class Scale(Shape):
    """How many worker processes would meet the target of a queue."""

    queue: str = Field(examples=["mail"])
    workers_wanted: int = Field(description="At most a quarter less than there are, so that it does not swing.")
    workers: int = Field(description="Live processes that serve the queue.")
    ready: int
    target_seconds: float
    reason: str = Field(description="`paused`, `idle`, `unknown`, `limited`, `behind` or `enough`.")


class Forecast(Shape):
    """When the backlog of a queue is gone."""

    queue: str = Field(examples=["mail"])
    ready: int
    parked: int
    is_paused: bool
    threads: int = Field(description="Of live processes that serve it, and those that were asked for.")
    busy: int
    arrivals: float = Field(description="Runs a second, retries included.")
    capacity: float | None = Field(description="Runs a second that the threads end; null: no attempt has ended.")
    likely_seconds: float | None = Field(description="Null: never at this rate (`is_never`), or not known yet.")
    soonest_seconds: float | None
    latest_seconds: float | None = Field(description="Null: perhaps never, or not known yet.")
    is_never: bool
    threads_needed: int | None = Field(description="Threads that end as much as comes.")
