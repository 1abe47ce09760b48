"""Values that a person typed into a form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fastapi import HTTPException

T = TypeVar("T")


def parsed(parse: Callable[[str], T], text: str) -> T:
    """What ``parse`` makes of a text.

    Raises:
        HTTPException: 422, it raised a ValueError.
    """
    try:
        return parse(text)
    except ValueError as error:
        raise HTTPException(422, f"{error}.") from None


def parsed_if_given(parse: Callable[[str], T], text: object) -> T | None:
    """The same for a field that may be empty, or not there: None then."""
    given = str(text or "").strip()
    return parsed(parse, given) if given else None
