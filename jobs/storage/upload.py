"""Writes a value to the store of this process: its row first, then its content in chunks, then its size and hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING
from uuid import UUID

from jobs.app import App
from jobs.clock import new_run_id
from jobs.errors import ArgumentsRefused, JobsError
from jobs.formats.size import format_size
from jobs.formats.stored_reference import MAX_NAME, Reference
from jobs.ledger.blobs import content
from jobs.ledger.blobs.references import hold_pairs, missing_error, release
from jobs.runtime.fault_points import reached
from jobs.storage.own_writes import writing
from jobs.storage.protocol import CHUNK
from jobs.storage.stores import open_store

if TYPE_CHECKING:
    from sqlalchemy import Connection


def upload(app: App, source: Iterator[bytes], *, name: str | None, run_id: UUID | None = None) -> Reference:
    """Write what ``source`` yields, and return the reference to it. It is kept for a day until a run refers to it.

    Args:
        run_id: a run that refers to it from now on.

    Raises:
        ArgumentsRefused: it is larger than JOBS_MAX_STORED_BYTES, or its source cannot be read.
        ServiceDown: the ledger does not answer; ``StoreDown`` if it is the store.
    """
    blob_id, url = new_run_id(), app.settings.store
    pieces = _Pieces(source, app.settings.max_stored_bytes)
    first = next(pieces, b"")
    second = next(pieces, None) if len(first) == CHUNK else None
    if url == content.LEDGER and second is None:
        with writing(app) as connection:
            content.begin(connection, blob_id, store=url, name=name)
            if first:
                content.add_chunk(connection, blob_id, 0, first)
            _complete(connection, blob_id, pieces, run_id)
        return pieces.reference(blob_id, name)
    store = open_store(app, url)
    with writing(app) as connection:
        content.begin(connection, blob_id, store=url, name=name)
    reached("stored:begun")
    try:
        store.write(blob_id, chain([one for one in (first, second) if one], pieces))
        reached("stored:content")
        with writing(app) as connection:
            _complete(connection, blob_id, pieces, run_id)
    except BaseException:
        # Its content is deleted soon. If nobody can be asked for that now, it is deleted after a day.
        with suppress(JobsError), writing(app) as connection:
            release(connection, [blob_id])
        raise
    reached("stored:complete")
    return pieces.reference(blob_id, name)


def upload_once(app: App, data: bytes, *, name: str, run_id: UUID | None = None) -> Reference:
    """``upload`` of a value in memory. If the store has one with this content, returns the reference to that one.

    Args:
        name: shown to operators; the reference does not hold it.
        run_id: a run that refers to it from now on.

    Raises:
        ArgumentsRefused: it is larger than JOBS_MAX_STORED_BYTES.
        ServiceDown: the ledger does not answer; ``StoreDown`` if it is the store.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    with writing(app) as connection:
        found = content.find_same(connection, store=app.settings.store, size=len(data), sha256=sha256)
        if found is not None and run_id is not None:
            hold_pairs(connection, [(run_id, found)])
    if found is not None:
        return Reference(found, len(data), sha256)
    chunks = (data[start : start + CHUNK] for start in range(0, len(data), CHUNK))
    return replace(upload(app, chunks, name=name[-MAX_NAME:], run_id=run_id), name=None)


def _complete(connection: Connection, blob_id: UUID, pieces: _Pieces, run_id: UUID | None) -> None:
    if not content.complete(connection, blob_id, size=pieces.size, sha256=pieces.sha256.hexdigest()):
        raise missing_error(blob_id)
    if run_id is not None:
        hold_pairs(connection, [(run_id, blob_id)])


class _Pieces:
    """The content in chunks of ``CHUNK`` bytes; only the last may be shorter. Counts and hashes them."""

    def __init__(self, source: Iterator[bytes], most: int) -> None:
        self._source = source
        self._most = most
        self._rest = bytearray()
        self.size = 0
        self.sha256 = hashlib.sha256()

    def __iter__(self) -> _Pieces:
        return self

    def __next__(self) -> bytes:
        while len(self._rest) < CHUNK and (more := next(self._source, None)) is not None:
            self._rest += more
        if not self._rest:
            raise StopIteration
        chunk = bytes(memoryview(self._rest)[:CHUNK])
        del self._rest[:CHUNK]
        self.size += len(chunk)
        if self.size > self._most:
            raise ArgumentsRefused(
                f"A stored value is larger than {format_size(self._most)}.", hint="Raise JOBS_MAX_STORED_BYTES."
            )
        self.sha256.update(chunk)
        return chunk

    def reference(self, blob_id: UUID, name: str | None) -> Reference:
        return Reference(blob_id, self.size, self.sha256.hexdigest(), name)
