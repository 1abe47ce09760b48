"""Breakers and their open keys, and releases."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from admin_api.shapes.base import Because, Shape
from jobs.ledger.breakers.reports import BreakerRecord


class Breaker(Shape):
    """A breaker, or one open key of it. `key` is `(hidden)` without `arguments:read`."""

    name: str = Field(examples=["stripe"])
    key: str | None = Field(description="Null for the breaker itself.", examples=["eu-17"])
    keyed_by: str | None = Field(description="The field whose values are its keys; null: one breaker for all.")
    after: int | None = Field(description="So many failures open it; null for a key.")
    within_seconds: float | None = Field(description="Within this time.")
    open_seconds: float | None = Field(description="How long it is open before the first canary.")
    opened_at: datetime | None = Field(description="Null: it is closed. With keys, the earliest.")
    probe_at: datetime | None = Field(description="When its next canary may go.")
    fingerprint: str | None = Field(description="Of the failure that opened it, or of the last canary.")
    error_type: str | None
    failures: int | None = Field(description="How many failures opened it.")
    failed_canaries: int = Field(description="Canaries that have failed in a row.")
    open: int = Field(description="0 or 1, or how many of its keys are open.")
    parked: int = Field(description="Runs that wait for it, of all keys.")


class BreakerDetail(Breaker):
    keys: list[Breaker] = Field(description="Open keys, the longest first; 100 at most.")

    @classmethod
    def whole(cls, one: BreakerRecord, keys: list[BreakerRecord]) -> BreakerDetail:
        return cls(**Breaker.model_validate(one).model_dump(), keys=[Breaker.model_validate(key) for key in keys])


class Release(Because):
    """Closes open breakers, or lets some runs go first. It cannot be undone."""

    key: str | None = Field(None, min_length=1, max_length=1000, description="Only this key.")
    canary: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="So many parked runs of each go first; without it, all are ready.",
        examples=[10],
    )


class Released(Shape):
    breakers: int = Field(description="How many breakers, or keys of them, were released.")
    ready: int = Field(description="How many runs are ready now.")
