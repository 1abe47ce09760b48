"""Pagination: a limit, and an opaque cursor for the next page."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from admin_api.http.envelope import Envelope, Pagination
from jobs.errors import SelectorRefused

T = TypeVar("T")
S = TypeVar("S")
DEFAULT_LIMIT, MAX_LIMIT = 50, 500


class Paging(BaseModel):
    """The part of a list to return: limit and cursor."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="Items a page.")
    cursor: str | None = Field(None, max_length=1000, description="``next_cursor`` of the previous page.")

    @property
    def more(self) -> int:
        """One more than the page, to know whether another page follows."""
        return self.limit + 1

    @property
    def after_text(self) -> str | None:
        return None if self.cursor is None else _read(self.cursor)

    @property
    def after_id(self) -> UUID | None:
        return self._as(UUID)

    @property
    def after_number(self) -> int | None:
        return self._as(_number)

    @property
    def after_moment(self) -> datetime | None:
        return self._as(_moment)

    def _as(self, read: Callable[[str], T]) -> T | None:
        if self.cursor is None:
            return None
        try:
            return read(_read(self.cursor))
        except (ValueError, OverflowError):
            raise _no_cursor(self.cursor) from None


def page(
    found: Sequence[S], paging: Paging, show: Callable[[S], T], *, place: Callable[[S], Any], **meta: Any
) -> Envelope[list[T]]:
    """A page of the found items, which are one more than the limit if another page follows."""
    items = found[: paging.limit]
    following = write_cursor(place(items[-1])) if len(found) > paging.limit else None
    return whole([show(one) for one in items], paging, following, **meta)


def whole(items: list[T], paging: Paging, next_cursor: str | None = None, **meta: Any) -> Envelope[list[T]]:
    """A page from items and a cursor."""
    return Envelope(data=items, meta=meta, pagination=Pagination(limit=paging.limit, next_cursor=next_cursor))


def write_cursor(place: Any) -> str:
    """A cursor that starts after ``place``: a name, an id, a number or a moment."""
    text = place.isoformat() if isinstance(place, datetime) else str(place)
    return base64.urlsafe_b64encode(json.dumps(text).encode()).decode().rstrip("=")


def _read(cursor: str) -> str:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise _no_cursor(cursor) from None
    if not isinstance(text, str) or "\x00" in text or not text.isprintable():
        raise _no_cursor(cursor)
    return text


def _no_cursor(cursor: str) -> SelectorRefused:
    return SelectorRefused(f"{cursor[:40]!r} is not a cursor.", hint="Take it from pagination.next_cursor.")


def _number(text: str) -> int:
    if len(text) > 9:
        raise ValueError(text)
    return int(text)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment
