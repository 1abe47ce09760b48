"""Short ids: the last characters of an id, because ids that are made in a row start alike."""

from __future__ import annotations

SHORT_ID = 8
"""Characters of a short id."""
MIN_SHORT_ID = 6
"""Fewest characters by which a run or a batch is looked up. Source: decision; one in sixteen million."""
ID_DIGITS = 32
"""Characters of a whole id without its dashes."""
_DIGITS = frozenset("0123456789abcdef")


def short_id(identifier: object) -> str:
    return str(identifier)[-SHORT_ID:]


def id_digits(text: str) -> str | None:
    """The digits of a whole id, or of a head or tail of one, without dashes; None if it is none of these.

    >>> id_digits(" 0199-ABCD ")
    '0199abcd'
    """
    plain = text.strip().lower().replace("-", "")
    return plain if MIN_SHORT_ID <= len(plain) <= ID_DIGITS and not set(plain) - _DIGITS else None
