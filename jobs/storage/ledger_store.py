"""The ledger as a store: chunks in rows, each written and read by a transaction of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from uuid import UUID

from jobs.app import App
from jobs.errors import ServiceDown
from jobs.ledger.blobs import content
from jobs.ledger.blobs.blob_errors import StoreDown
from jobs.ledger.blobs.collect import delete_chunks
from jobs.ledger.blobs.references import missing_error
from jobs.storage.own_writes import writing


class LedgerStore:
    """Content in ``job_blob_chunks``."""

    def __init__(self, app: App) -> None:
        self._app = app

    def write(self, blob_id: UUID, chunks: Iterator[bytes]) -> None:
        for number, chunk in enumerate(chunks):
            with as_store_down(), writing(self._app) as connection:
                if not content.extend(connection, blob_id):
                    raise missing_error(blob_id)
                content.add_chunk(connection, blob_id, number, chunk)

    def read(self, blob_id: UUID) -> Iterator[bytes]:
        for number in count():
            with as_store_down(), self._app.database.read() as connection:
                chunk = content.read_chunk(connection, blob_id, number)
            if chunk is None:
                return
            yield chunk

    def delete(self, blob_id: UUID) -> None:
        while True:
            with as_store_down(), self._app.database.write() as connection:
                if not delete_chunks(connection, blob_id):
                    return


@contextmanager
def as_store_down() -> Iterator[None]:
    """The ledger's own silence is the silence of this store."""
    try:
        yield
    except StoreDown:
        raise
    except ServiceDown as error:
        raise StoreDown(error.message, hint=error.hint) from error
