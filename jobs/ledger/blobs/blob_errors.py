"""Errors of stored values.

JobsError
├── StoredMissing             the content of a stored value is not there
├── StoredAltered             it is not what was stored
└── ServiceDown
    └── StoreDown             the store of a value does not answer
"""

from __future__ import annotations

from uuid import UUID

from jobs.errors import JobsError, ServiceDown


class StoredMissing(JobsError):
    """A stored value was deleted, or its content is not in its store. ``blob_id`` names it."""

    code = "stored_missing"

    def __init__(self, message: str, *, blob_id: UUID, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.blob_id = blob_id


class StoredAltered(JobsError):
    """The content of a stored value has another size or another SHA-256 than its reference. ``blob_id`` names it."""

    code = "stored_altered"

    def __init__(self, message: str, *, blob_id: UUID, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.blob_id = blob_id


class StoreDown(ServiceDown):
    """The store of a value does not answer, or refuses us. An enqueue has recorded nothing; a run is tried again."""

    code = "store_down"


def content_missing(blob_id: UUID, place: str) -> StoredMissing:
    """The error of a value whose content is not in ``place``, where it was stored."""
    return StoredMissing(
        f"The content of the stored value {blob_id} is not in {place}.",
        blob_id=blob_id,
        hint="Put it back, and replay the run.",
    )
