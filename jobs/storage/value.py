"""Stored: the type of an argument or a result whose content is in a store, and is read and written as a stream."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Generic, Self, TypeVar, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, core_schema

from jobs import boot
from jobs.errors import ArgumentsRefused
from jobs.formats.shown import shown
from jobs.formats.size import format_size
from jobs.formats.stored_reference import MAX_NAME, STORED_TYPE, Reference
from jobs.storage.protocol import CHUNK
from jobs.storage.sources import Source, as_file, name_of, of_open_file, of_path, of_value

if TYPE_CHECKING:
    from uuid import UUID

    from jobs.app import App

T = TypeVar("T")

MAX_READ = 64 * 2**20
"""Bytes that ``read`` and ``load`` take into memory if the caller gives no other limit. Source: decision."""


class Stored(Generic[T]):
    """A value that is kept in a store: ``document: Stored[bytes]``. The run's row holds its size and its SHA-256.

    >>> class Scan(jobs.Job):
    ...     document: jobs.Stored[bytes]
    ...
    ...     def perform(self) -> None:
    ...         with self.document.open() as file:
    ...             recognise(file)
    >>> Scan(document=jobs.Stored.from_file("invoice.pdf")).enqueue()

    ``Stored(value)`` stores bytes as they are, text as UTF-8, and any other value as JSON. The content is written when
    a job is enqueued with it, before the run is recorded. One object may be given to several jobs, and is written once.
    """

    __slots__ = ("_name", "_reference", "_source", "_type")

    def __init__(self, value: T, *, name: str | None = None) -> None:
        self._init(of_value(value), name)

    def _init(self, source: Source | None, name: str | None) -> None:
        if name is not None and (not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or "\0" in name):
            raise ArgumentsRefused(f"The name of a stored value is a text of 1 to {MAX_NAME} characters.")
        self._source = source
        self._name = name
        self._reference: Reference | None = None
        self._type: Any = bytes

    @classmethod
    def from_file(cls, file: str | os.PathLike[str] | IO[bytes], *, name: str | None = None) -> Stored[Any]:
        """A value that is read from a file when a job is enqueued with it; never whole in memory.

        Args:
            file: a path, or a file that is open for binary reading; it is read from where it stands.
            name: shown to operators; by default the last part of the path.
        """
        made: Stored[Any] = cls.__new__(cls)
        if isinstance(file, str | os.PathLike):
            made._init(of_path(Path(file)), name_of(file, MAX_NAME) if name is None else name)
        else:
            made._init(of_open_file(file), name)
        return made

    @classmethod
    def from_reference(cls, value: Any) -> Stored[Any]:
        """The stored value that a reference in JSON stands for, in the result of another run, say.

        Raises:
            ArgumentsRefused: it is no reference.
        """
        found = Reference.of(value)
        if found is None:
            raise ArgumentsRefused(f"{shown(value)} is no reference to a stored value.")
        made: Stored[Any] = cls.__new__(cls)
        made._init(None, None)
        made._name, made._reference = found.name, found
        return made

    @property
    def name(self) -> str | None:
        """What operators see it called."""
        return self._name

    @property
    def reference(self) -> Reference | None:
        """Its id, size and SHA-256; None until it is written."""
        return self._reference

    @property
    def size(self) -> int | None:
        """Its size in bytes; None until it is written."""
        return None if self._reference is None else self._reference.size

    def open(self) -> IO[bytes]:
        """Its content as a file, to be read once from the begin. Not seekable.

        A read raises ``StoredAltered`` instead of giving away the last bytes of content that is not what was stored,
        ``StoredMissing`` if it is not there, and ``StoreDown`` if the store does not answer.
        """
        if self._reference is None:
            assert self._source is not None
            return as_file(self._source())
        from jobs.storage.reader import open_reference

        return open_reference(_app(), self._reference)

    def read(self, *, max_bytes: int = MAX_READ) -> bytes:
        """Its whole content, which takes its size of memory.

        Raises:
            ArgumentsRefused: it is larger than ``max_bytes``.
            StoredAltered, StoredMissing, StoreDown: as ``open``.
        """
        with self.open() as file:
            found = file.read(max_bytes + 1) if self.size is None or self.size <= max_bytes else None
        if found is None or len(found) > max_bytes:
            raise ArgumentsRefused(
                f"A stored value is larger than {format_size(max_bytes)}, which is what read() takes into memory.",
                hint="Read it from open(), copy it with save_to(path), or give max_bytes=.",
            )
        return found

    def load(self, *, max_bytes: int = MAX_READ) -> T:
        """The value itself: bytes, text, or what the JSON of any other type makes. Raises the same as ``read``."""
        content = self.read(max_bytes=max_bytes)
        if self._type is bytes:
            return content  # type: ignore[return-value]
        if self._type is str:
            return content.decode()  # type: ignore[return-value]
        found: T = TypeAdapter(self._type).validate_json(content)
        return found

    def save_to(self, path: str | os.PathLike[str]) -> None:
        """Copy its content to a file, which appears only when all of it is there and right. Raises the same as
        ``open``, and ``OSError``.
        """
        target = Path(path)
        part = target.with_name(f".{target.name}.part")
        try:
            with self.open() as file, part.open("wb") as copy:
                while data := file.read(CHUNK):
                    copy.write(data)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def upload(self) -> Self:
        """Write its content now, if it is not written. It is kept for a day until a run refers to it.

        For callers that enqueue inside a transaction: on SQLite no other transaction may write meanwhile.

        Raises:
            ArgumentsRefused: it is larger than JOBS_MAX_STORED_BYTES, or its source cannot be read.
            ServiceDown: the ledger does not answer; ``StoreDown`` if it is the store.
        """
        return self.write_to(_app())

    def write_to(self, app: App, *, run_id: UUID | None = None) -> Self:
        """For enqueueing and results: ``upload`` to the store of ``app``; ``run_id`` refers to it from now on."""
        if self._reference is None:
            from jobs.storage.upload import upload

            assert self._source is not None
            self._reference = upload(app, self._source(), name=self._name, run_id=run_id)
        return self

    def equality_key(self) -> Any:
        """For unique keys: equal content is equal, whatever its id."""
        found = self._reference
        return None if found is None else {"sha256": found.sha256, "size": found.size}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stored):
            return NotImplemented
        return self is other or (self._reference is not None and self._reference == other._reference)

    def __hash__(self) -> int:
        return hash(Stored)

    def __repr__(self) -> str:
        size = "not written" if self.size is None else f"{self.size:,} bytes"
        return f"<Stored {self._name or 'value'}: {size}>"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        of = (get_args(source) or (bytes,))[0]
        return core_schema.no_info_plain_validator_function(
            lambda value: _validated(value, of),
            serialization=core_schema.plain_serializer_function_ser_schema(_as_json, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": STORED_TYPE}


def _app() -> App:
    from jobs.runtime.context import current_run

    performing = current_run.get()
    return boot.current() if performing is None else performing.app


def _validated(value: Any, of: Any) -> Stored[Any]:
    if not isinstance(value, Stored):
        if Reference.of(value) is not None:
            value = Stored.from_reference(value)
        elif of is bytes and isinstance(value, bytes | bytearray | memoryview):
            value = Stored(bytes(value))
        elif of is str and isinstance(value, str):
            value = Stored(value)
        elif of not in (bytes, str):
            value = Stored(TypeAdapter(of).validate_python(value))
        else:
            kind = "bytes" if of is bytes else "text"
            raise ValueError(f"it takes {kind}, a Stored, or a reference to a stored value")
    value._type = of
    return value  # type: ignore[no-any-return]


def _as_json(value: Stored[Any]) -> dict[str, Any]:
    if value.reference is None:
        raise ValueError("a stored value is not written yet, which only an enqueue of its job does")
    return value.reference.as_json()
