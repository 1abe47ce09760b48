"""Content as chunks and as files: what a value is made of, and what it is read from."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from jobs.errors import ArgumentsRefused
from jobs.formats.shown import shown
from jobs.storage.protocol import CHUNK

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Source = Callable[[], Iterator[bytes]]
"""Gives the content from its begin, each time that it is called."""


def of_value(value: Any) -> Source:
    """Bytes as they are, text as UTF-8, any other value as JSON."""

    def parts() -> Iterator[bytes]:
        data = value.encode() if isinstance(value, str) else value
        if not isinstance(data, bytes | bytearray | memoryview):
            data = to_json(data)
            from_json(data)  # Refuses what would not read back.
        whole = memoryview(data).cast("B")
        for start in range(0, len(whole), CHUNK):
            yield bytes(whole[start : start + CHUNK])

    return parts


def of_path(path: Path) -> Source:
    """The content of a file, which is opened when it is written to the store."""

    def parts() -> Iterator[bytes]:
        try:
            with path.open("rb") as file:
                while data := file.read(CHUNK):
                    yield data
        except OSError as error:
            raise ArgumentsRefused(f"{path} cannot be read: {error.strerror}.") from error

    return parts


def of_open_file(file: IO[bytes]) -> Source:
    """What an open file gives from where it stands now; only once, if it is not seekable."""
    if not callable(getattr(file, "read", None)):
        raise ArgumentsRefused(f"Stored.from_file takes a path or a file, got {shown(file)}.")
    can_seek = getattr(file, "seekable", None)
    start = file.tell() if callable(can_seek) and can_seek() else None

    def parts() -> Iterator[bytes]:
        try:
            if start is not None:
                file.seek(start)
            while data := file.read(CHUNK):
                if not isinstance(data, bytes | bytearray | memoryview):
                    raise ArgumentsRefused(
                        "The file of a stored value is open for text.", hint="Open it for binary reading: 'rb'."
                    )
                yield bytes(data)
        except (OSError, ValueError) as error:
            raise ArgumentsRefused(f"The file of a stored value cannot be read: {error}.") from error

    return parts


def as_file(chunks: Iterator[bytes]) -> io.BufferedReader:
    """The chunks as a file that is read once."""
    return io.BufferedReader(_ChunkFile(chunks))


class _ChunkFile(io.RawIOBase):
    """After an error it raises the same again: it never looks like the end of the file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._left = memoryview(b"")
        self._error: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        if self._error is not None:
            raise self._error
        try:
            while not self._left:
                self._left = memoryview(next(self._chunks))
        except StopIteration:
            return 0
        except Exception as error:
            self._error = error
            raise
        place = memoryview(buffer).cast("B")
        count = min(len(place), len(self._left))
        place[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def name_of(path: str | os.PathLike[str], longest: int) -> str:
    """The name that operators see of a value from this path."""
    return Path(path).name[-longest:]
