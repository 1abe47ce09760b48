"""Reads a task as Celery's message protocol 2 writes it, JSON only, without Celery.

Source: Celery's "Message Protocol"; kombu's ``utils/json.py`` for values that JSON does not have, and
``compression.py`` for bodies.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import json
import lzma
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

MAX_BODY = 64 * 1024 * 1024
"""Bytes of a body once it is decompressed. Source: decision; a small message could otherwise fill the memory."""
_FOLLOWING = ("callbacks", "errbacks", "chain", "chord")
_GZIP = "application/x-gzip"
_UNPACKERS: dict[str, Callable[[], Any]] = {
    _GZIP: zlib.decompressobj,
    "application/x-bz2": bz2.BZ2Decompressor,
    "application/x-lzma": lzma.LZMADecompressor,
}
_VALUES: dict[str, Callable[[Any], Any]] = {
    "bytes": str.encode,
    "base64": base64.b64decode,
    "datetime": datetime.fromisoformat,
    "date": lambda text: datetime.fromisoformat(text).date(),
    "time": time.fromisoformat,
    "decimal": Decimal,
    "uuid": lambda parts: UUID(parts["hex"]),
}
"""Values that kombu marks in JSON, by their marker. An application may have registered others."""


class NotTaken(Exception):
    """A task that cannot become a run, and why."""


@dataclass(frozen=True, slots=True)
class CeleryTask:
    """A task that was sent. ``priority`` is None if nobody gave it one."""

    id: str
    name: str
    args: list[Any]
    kwargs: dict[str, Any]
    eta: datetime | None
    expires: datetime | None
    priority: int | None


def name_of(message: bytes) -> str:
    """The name of the task, as far as the message says one; else ``?``."""
    try:
        found = json.loads(message)["headers"]["task"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "?"
    return found if isinstance(found, str) else "?"


def read_task(message: bytes) -> CeleryTask:
    """The task of a message whose content is JSON.

    Nothing else is decoded: a pickle runs code when it is read.

    Raises:
        NotTaken: it is no such message, or carries what follows it (a chain, callbacks).
    """
    try:
        parts = json.loads(message)
        headers, properties, kind = parts["headers"], parts.get("properties") or {}, parts["content-type"]
        if kind != "application/json":
            raise NotTaken(f"Its content is {kind}; only JSON is read.")
        if not (isinstance(headers["task"], str) and isinstance(properties, dict)):
            raise TypeError("not a task")
        body = parts["body"]
        if properties.get("body_encoding") == "base64":
            body = base64.b64decode(body, validate=True)
        if headers.get("compression"):
            body = _unpacked(body, headers["compression"])
        args, kwargs, embed = json.loads(body, object_hook=_value)
        if not (isinstance(args, list) and isinstance(kwargs, dict)):
            raise TypeError("not a task")
        following = [name for name in _FOLLOWING if embed.get(name)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise NotTaken("It is no task of Celery's message protocol 2.") from error
    if following:
        raise NotTaken(f"It has {', '.join(following)}: enqueue it in the application, with its follow-ups.")
    if not headers.get("id"):
        raise NotTaken("It has no id, by which it would be moved only once.")
    return CeleryTask(
        id=str(headers["id"]),
        name=headers["task"],
        args=args,
        kwargs=kwargs,
        eta=_moment(headers, "eta"),
        expires=_moment(headers, "expires"),
        priority=_priority(properties.get("priority")),
    )


def _unpacked(body: Any, how: str) -> bytes:
    make = _UNPACKERS.get(how)
    if make is None:
        raise NotTaken(f"Its body is compressed as {how}, which is not read here.")
    if not isinstance(body, bytes):
        raise TypeError("a compressed body is bytes")
    unpacker = make()
    try:
        data: bytes = unpacker.decompress(body, MAX_BODY)
    except (zlib.error, lzma.LZMAError, OSError) as error:
        raise NotTaken("Its compressed body is damaged.") from error
    if not unpacker.eof:
        raise NotTaken(f"Its body is damaged, or has more than {MAX_BODY:,} bytes once it is decompressed.")
    return data


def _value(found: dict[str, Any]) -> Any:
    """A value that kombu marked, as the task would have got it."""
    names = found.keys()
    if names == {"bytes", "__bytes__"}:  # Before kombu 5.3.
        return str.encode(found["bytes"])
    if names == {"bytes", "__base64__"}:
        return base64.b64decode(found["bytes"])
    if names != {"__type__", "__value__"}:
        return found
    marker = found["__type__"]
    read = _VALUES.get(marker) if isinstance(marker, str) else None
    if read is None:
        raise NotTaken(f"It has a value of the type {marker!r}, which only the application can read.")
    try:
        return read(found["__value__"])
    except (ValueError, TypeError, KeyError, AttributeError, InvalidOperation) as error:
        raise NotTaken(f"It has a value of the type {marker} that cannot be read.") from error


def _priority(given: Any) -> int | None:
    """Celery writes 0 if nobody gave a priority."""
    return given if type(given) is int and given > 0 else None


def _moment(headers: Mapping[str, Any], name: str) -> datetime | None:
    said = headers.get(name)
    if said is None:
        return None
    try:
        moment = datetime.fromisoformat(said)
    except (ValueError, TypeError):
        raise NotTaken(f"Its {name} is no moment.") from None
    # Celery writes a moment without a zone in UTC.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
