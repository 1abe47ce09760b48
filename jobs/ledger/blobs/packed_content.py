"""Reads what is in a store because it is large, for code below ``jobs.storage``, which says how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import from_json

from jobs.formats.stored_reference import Reference, packed_in

Read = Callable[[Any, Reference], bytes]
"""Reads a value whole with an App. May raise ``StoredMissing``, ``StoredAltered`` and ``StoreDown``."""
_reads: list[Read] = []


def read_by(read: Read) -> None:
    """Read by this function. ``jobs.storage`` calls it when it is imported."""
    _reads[:] = [read]


def content_of(app: Any, reference: Reference) -> bytes:
    """The content that a reference stands for.

    Raises:
        StoredMissing, StoredAltered: it is not there, or is not what was stored.
        StoreDown: its store does not answer.
    """
    return _reads[0](app, reference)


def unpacked(app: Any, value: Any) -> Any:
    """The value that is in a store; any other as it is. Raises the same as ``content_of``."""
    reference = packed_in(value)
    return value if reference is None else from_json(content_of(app, reference))
