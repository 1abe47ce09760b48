"""Short ids: the last characters of an id, because ids that are made in a row start alike."""

from __future__ import annotations

SHORT_ID = 8
"""Characters of a short id."""
MIN_SHORT_ID = 6
"""Fewest characters by which a run or a batch is looked up. Source: decision; one in sixteen million."""


def short_id(identifier: object) -> str:
    return str(identifier)[-SHORT_ID:]
