"""The envelope of every response: ``{data, error, meta, pagination}``."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")


class Problem(BaseModel):
    """What went wrong. ``code`` is stable, and the command line's."""

    code: str = Field(examples=["not_found"])
    message: str = Field(examples=["There is no run 1a2b3c4d."])
    hint: str | None = None
    details: list[dict[str, Any]] = Field(default_factory=list, description="Where, one entry a mistake.")


class Pagination(BaseModel):
    """How a list goes on. ``next_cursor`` begins the next page; null on the last."""

    limit: int
    next_cursor: str | None = None


class Envelope(BaseModel, Generic[T]):
    """What a good answer looks like."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    data: T
    error: None = None
    meta: dict[str, Any] = Field(default_factory=dict)
    pagination: Pagination | None = None


class Failure(BaseModel):
    """What a bad answer looks like."""

    data: None = None
    error: Problem
    meta: dict[str, Any] = Field(default_factory=dict, examples=[{"request_id": "0199f4c2a7d87b3c"}])
    pagination: None = None


def failure(code: str, message: str, *, request_id: str, **more: Any) -> dict[str, Any]:
    """The body of a bad answer, as plain values."""
    problem = Problem(code=code, message=message, **more)
    return Failure(error=problem, meta={"request_id": request_id}).model_dump()
