"""The envelope of every response: ``{data, error, meta, pagination}``."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")


class Problem(BaseModel):
    """An error. ``code`` is stable, and the same as the command line's."""

    code: str = Field(examples=["not_found"])
    message: str = Field(examples=["There is no run 1a2b3c4d."])
    hint: str | None = None
    details: list[dict[str, Any]] = Field(default_factory=list, description="The place of each mistake.")


class Pagination(BaseModel):
    """Pagination of a list. ``next_cursor`` selects the next page; null on the last."""

    limit: int
    next_cursor: str | None = None


class Envelope(BaseModel, Generic[T]):
    """The body of a successful response."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    data: T
    error: None = None
    meta: dict[str, Any] = Field(default_factory=dict)
    pagination: Pagination | None = None


class Failure(BaseModel):
    """The body of an error response."""

    data: None = None
    error: Problem
    meta: dict[str, Any] = Field(default_factory=dict, examples=[{"request_id": "0199f4c2a7d87b3c"}])
    pagination: None = None


def failure(code: str, message: str, *, request_id: str, **more: Any) -> dict[str, Any]:
    """The body of an error response, as plain values."""
    problem = Problem(code=code, message=message, **more)
    return Failure(error=problem, meta={"request_id": request_id}).model_dump()
