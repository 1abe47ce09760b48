"""Values in PostgreSQL's binary format: for COPY, and for the parameters of prepared statements.

Source: the functions ``…recv`` of PostgreSQL's types.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Float, Integer, String, Text, Uuid
from sqlalchemy.types import TypeEngine

from jobs.database.models.types import Flag, Id, JsonText, LongText, Number, SmallNumber, UtcDateTime, Words

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_INT2, _INT4, _INT8, _FLOAT8 = struct.Struct(">h"), struct.Struct(">i"), struct.Struct(">q"), struct.Struct(">d")
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
    return _WRITERS.get(type(kind))
