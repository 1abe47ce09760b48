"""Store: where the content of values is. It knows ids and bytes; the ledger knows who refers to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol
from uuid import UUID

CHUNK = 2**20
"""Bytes read and written at once. Source: decision; a process holds a few of them at a time."""


class Store(Protocol):
    """Content by id. Every call has a time limit; what does not answer raises ``StoreDown``."""

    def write(self, blob_id: UUID, chunks: Iterator[bytes]) -> None:
        """Write all chunks, of up to ``CHUNK`` bytes each, or nothing that ``read`` could find.

        Raises:
            StoreDown: the store does not answer, or refuses us.
        """

    def read(self, blob_id: UUID) -> Iterator[bytes]:
        """The content, in chunks of up to ``CHUNK`` bytes.

        Raises:
            StoredMissing: there is none with this id.
            StoreDown: the store does not answer, or refuses us.
        """

    def delete(self, blob_id: UUID) -> None:
        """Delete the content, and what a broken write left; nothing happens if there is none.

        Raises:
            StoreDown: the store does not answer, or refuses us.
        """
