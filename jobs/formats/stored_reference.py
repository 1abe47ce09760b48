"""The reference to a stored value, as the arguments and results of runs hold it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

MARK = "$stored"
"""The key of a reference's id: ``{"$stored": ID, "size": BYTES, "sha256": HEX, "name": TEXT}``."""
STORED_TYPE = "stored"
"""The type of a stored argument in the published schema: no value fits it, since only the class can store one."""
MAX_NAME = 200
_PACKED = re.compile(r'"\$stored": ?\{')
_PACKED_KEYS = frozenset({MARK, "$sealed", "$hash"})
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r'"\$stored": ?"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"')


@dataclass(frozen=True, slots=True)
class Reference:
    """A stored value: its id, its size in bytes, its SHA-256 in hexadecimal digits, and the name that it was given."""

    id: UUID
    size: int
    sha256: str
    name: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As arguments and results hold it."""
        shown: dict[str, Any] = {MARK: str(self.id), "size": self.size, "sha256": self.sha256}
        return shown if self.name is None else {**shown, "name": self.name}

    @classmethod
    def of(cls, value: Any) -> Reference | None:
        """The reference that a JSON value is; None if it is none."""
        if not isinstance(value, dict) or MARK not in value or not value.keys() <= {MARK, "size", "sha256", "name"}:
            return None
        try:
            found = cls(UUID(value[MARK]), value["size"], value["sha256"], value.get("name"))
        except (KeyError, ValueError, AttributeError, TypeError):
            return None
        is_whole = type(found.size) is int and found.size >= 0 and str(found.id) == value[MARK]
        has_hash = isinstance(found.sha256, str) and _SHA256.fullmatch(found.sha256) is not None
        has_name = found.name is None or (isinstance(found.name, str) and len(found.name) <= MAX_NAME)
        return found if is_whole and has_hash and has_name else None


def blobs_in(text: str) -> tuple[UUID, ...]:
    """The ids of the values that JSON text refers to."""
    if MARK not in text:
        return ()
    return tuple(dict.fromkeys(UUID(one) for one in _ID.findall(text)))


def packed(reference: Reference) -> dict[str, Any]:
    """What the row of a run holds in place of a value that is in a store because it is large. A reference inside it
    stands for the JSON of the value, where a reference alone is the value: a ``Stored``.
    """
    return {MARK: reference.as_json()}


def packed_in(value: Any) -> Reference | None:
    """The reference to a value that is in a store because it is large; None for any other value."""
    if not isinstance(value, dict) or not isinstance(value.get(MARK), dict) or not value.keys() <= _PACKED_KEYS:
        return None
    return Reference.of(value[MARK])


def may_hold_packed(text: str) -> bool:
    """Whether JSON text may hold what ``packed`` makes; a look at each value tells."""
    return MARK in text and _PACKED.search(text) is not None
