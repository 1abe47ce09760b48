"""Reads a stored value as a file, and checks its size and its hash before it gives away the last bytes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator

from jobs.app import App
from jobs.formats.stored_reference import Reference
from jobs.ledger.blobs.blob_errors import StoredAltered, content_missing
from jobs.ledger.blobs.content import find_blob
from jobs.ledger.blobs.references import missing_error
from jobs.storage.ledger_store import as_store_down
from jobs.storage.sources import as_file
from jobs.storage.stores import open_store


def open_reference(app: App, reference: Reference) -> io.BufferedReader:
    """The content of a stored value as a file that is read once, from its begin.

    Raises:
        StoredMissing, StoredAltered: now, or from a read: the content is not there, or is not what was stored.
        StoreDown: now, or from a read: the store does not answer.
    """
    with as_store_down(), app.database.read() as connection:
        blob = find_blob(connection, reference.id)
    if blob is None or blob.is_removed:
        raise missing_error(reference.id)
    if (blob.size, blob.sha256) != (reference.size, reference.sha256):
        raise _altered(reference, f"The reference to the stored value {blob.id} was altered.")
    return as_file(_checked(open_store(app, blob.store).read(blob.id), reference))


def _checked(chunks: Iterator[bytes], reference: Reference) -> Iterator[bytes]:
    """The chunks of a value. Whoever has read them all has read what was stored."""
    size, sha256 = 0, hashlib.sha256()
    for chunk in chunks:
        size += len(chunk)
        sha256.update(chunk)
        if size >= reference.size:
            _check(reference, size, sha256.hexdigest())
        yield chunk
    if size == 0 and reference.size:
        raise content_missing(reference.id, "its store")
    _check(reference, size, sha256.hexdigest())


def _check(reference: Reference, size: int, sha256: str) -> None:
    if (size, sha256) != (reference.size, reference.sha256):
        what = f"it has {size:,} bytes, not {reference.size:,}" if size != reference.size else "its SHA-256 differs"
        raise _altered(reference, f"The content of the stored value {reference.id} is not what was stored: {what}.")


def _altered(reference: Reference, message: str) -> StoredAltered:
    return StoredAltered(message, blob_id=reference.id, hint="Put the right content back, and replay the run.")
