"""A folder as a store: a file for each value, whole or not there at all. All processes see the same folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from jobs.ledger.blobs.blob_errors import StoreDown, content_missing
from jobs.storage.protocol import CHUNK

MARKER = ".jobledger-store"
"""A file in the folder, made with its first value. Without it the folder is not mounted, and nothing is lost."""
FILE_MODE, FOLDER_MODE = 0o660, 0o770
"""For the owner and the group, as far as the umask allows."""


class FolderStore:
    """Content in files ``ab/ab12….blob`` below a folder that exists."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, blob_id: UUID, chunks: Iterator[bytes]) -> None:
        target = self._path(blob_id)
        part = target.with_suffix(".part")
        with self._explained():
            if not self._root.is_dir():
                raise StoreDown(f"The folder {self._root} of stored values is not there.", hint="Make it, or mount it.")
            os.close(os.open(self._root / MARKER, os.O_CREAT | os.O_WRONLY, FILE_MODE))
            target.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
            number = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE)
        try:
            with open(number, "wb") as file:
                for chunk in chunks:
                    with self._explained():
                        file.write(chunk)
                with self._explained():
                    file.flush()
                    os.fsync(file.fileno())
            with self._explained():
                part.replace(target)
                _sync(target.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def read(self, blob_id: UUID) -> Iterator[bytes]:
        path = self._path(blob_id)
        with self._explained():
            try:
                file = path.open("rb")
            except FileNotFoundError:
                self._need_marker()
                raise content_missing(blob_id, str(self._root)) from None
        with file:
            while True:
                with self._explained():
                    data = file.read(CHUNK)
                if not data:
                    return
                yield data

    def delete(self, blob_id: UUID) -> None:
        path = self._path(blob_id)
        with self._explained():
            self._need_marker()
            path.unlink(missing_ok=True)
            path.with_suffix(".part").unlink(missing_ok=True)

    def _need_marker(self) -> None:
        if not (self._root / MARKER).exists():
            raise StoreDown(
                f"{self._root} does not look like a store: it has no {MARKER}.", hint="Is it mounted?"
            ) from None

    def _path(self, blob_id: UUID) -> Path:
        return self._root / blob_id.hex[:2] / f"{blob_id.hex}.blob"

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreDown(f"The folder {self._root} of stored values cannot be used: {error.strerror}.") from error


def _sync(folder: Path) -> None:
    """Write the names in a folder to the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
