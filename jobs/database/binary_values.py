"""Values in PostgreSQL's binary format: for COPY, and for the parameters of prepared statements.

Source: the functions ``…recv`` of PostgreSQL's types.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import ARRAY, Float, Integer, String, Text, Uuid
from sqlalchemy.types import TypeEngine

from jobs.database.models.types import Flag, Id, JsonText, LongText, Number, SmallNumber, UtcDateTime, Words

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_INT2, _INT4, _INT8, _FLOAT8 = struct.Struct(">h"), struct.Struct(">i"), struct.Struct(">q"), struct.Struct(">d")
_WITH_INT4, _WITH_FLOAT8 = struct.Struct(">ii"), struct.Struct(">id")
_ARRAY, _NO_VALUES = struct.Struct(">iiiii"), struct.Struct(">iii")
"""Dimensions, whether values may be null, the number of their type; then, of the one dimension, length and first."""
NULL = b"\xff\xff\xff\xff"
"""The length of a value that is null."""
UUID_LENGTH = b"\0\0\0\x10"
Write: TypeAlias = Callable[[Any], bytes]


def _flag(value: bool) -> bytes:
    return b"\x01" if value else b"\0"


def _id(value: UUID) -> bytes:
    return value.bytes


def _moment(value: datetime) -> bytes:
    since = value - _EPOCH
    return _INT8.pack((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def read_moment(data: bytes) -> datetime:
    """A moment from its binary form, one that Python can hold."""
    return _EPOCH + timedelta(microseconds=_INT8.unpack(data)[0])


def read_ids(data: bytes) -> list[UUID]:
    """The ids of an array of one dimension, none of them null."""
    count = _INT4.unpack_from(data, _ARRAY.size - 8)[0] if len(data) >= _ARRAY.size else 0
    places = range(_ARRAY.size + 4, _ARRAY.size + 20 * count, 20)
    return [UUID(bytes=data[place : place + 16]) for place in places]


def with_length(write: Write) -> Write:
    """The function that writes a value, null included, with its length before it."""

    def write_both(value: Any) -> bytes:
        if value is None:
            return NULL
        data = write(value)
        return len(data).to_bytes(4, "big") + data

    return write_both


_TEXT = with_length(str.encode)


def _array_of(number: int, join: Callable[[Sequence[Any]], bytes]) -> Write:
    """Writes a list as an array; ``number`` is that of the type of its values, ``join`` writes them with lengths."""

    def write(values: Sequence[Any]) -> bytes:
        if not values:
            return _NO_VALUES.pack(0, 0, number)
        # That some are null may be said of any array.
        return _ARRAY.pack(1, 1, number, len(values), 1) + join(values)

    return write


def _ids(values: Sequence[UUID]) -> bytes:
    return UUID_LENGTH + UUID_LENGTH.join([one.bytes for one in values])


def _texts(values: Sequence[str | None]) -> bytes:
    if values.count(None) == len(values):
        return NULL * len(values)
    return b"".join(map(_TEXT, values))


def _numbers(values: Sequence[int]) -> bytes:
    pack = _WITH_INT4.pack
    if values.count(values[0]) == len(values):
        return pack(4, values[0]) * len(values)
    return b"".join([pack(4, one) for one in values])


def _floats(values: Sequence[float]) -> bytes:
    pack = _WITH_FLOAT8.pack
    return b"".join([pack(8, one) for one in values])


_ARRAYS: dict[type[TypeEngine[Any]], Write] = {
    Float: _array_of(701, _floats),
    Integer: _array_of(23, _numbers),
    Text: _array_of(25, _texts),
    Uuid: _array_of(2950, _ids),
}
"""By the type of the values. Source of the numbers: PostgreSQL's pg_type.dat."""
_WRITERS: dict[type[TypeEngine[Any]], Write] = {
    # Every connection of ours speaks UTF-8.
    **dict.fromkeys((JsonText, LongText, String, Text, Words), str.encode),
    **dict.fromkeys((Id, Uuid), _id),
    **dict.fromkeys((Integer, Number), _INT4.pack),
    Flag: _flag,
    Float: _FLOAT8.pack,
    SmallNumber: _INT2.pack,
    UtcDateTime: _moment,
}


def writer_of(kind: TypeEngine[Any]) -> Write | None:
    """The function that writes a value of a type, which is not None; None for a type that it does not know."""
    return _ARRAYS.get(type(kind.item_type)) if isinstance(kind, ARRAY) else _WRITERS.get(type(kind))
