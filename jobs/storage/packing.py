"""Puts arguments and results that are too large for their row into the store, and reads them back.

It does so by itself, above the size that JOBS_STORE_ABOVE names: the largest arguments go, field by field, and the row
holds a reference in the place of each. A value that is equal to one in the store is not written again. Sealed values
are encrypted first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import from_json, to_json

from jobs.definition import registry
from jobs.definition.arguments import check_json
from jobs.definition.secret import shown_keys
from jobs.formats.stored_reference import Reference, may_hold_packed, packed, packed_in
from jobs.ledger.blobs import packed_content
from jobs.runtime.context import in_session
from jobs.sealing.values import HASHED, SEALED, is_sealed

if TYPE_CHECKING:
    from jobs.app import App
    from jobs.ledger.run_records import RunRecord
    from jobs.sealing.run_seal import RunSeal

T = TypeVar("T")
MIN_PACKED = 1024
"""Shorter values stay in the row, as a reference has some 170 characters. Source: decision."""
_SMALL = 64
"""About the JSON of a number, a moment, an id."""


def packs(app: App, cls: Any) -> bool:
    """Whether the arguments of a job class go to the store when they are large.

    Not those of actors and Django's tasks, and none if a limit, a breaker or a turn is by a method: it may read them.
    """
    if app.settings.store_above is None or cls._write_own is not None:
        return False
    return all(by in cls.model_fields for _, by in shown_keys(cls.options))


def may_be_large(app: App, job: Any) -> bool:
    """Whether the arguments may have to go to the store, which takes its time; by a quick look at them."""
    if not packs(app, type(job)):
        return False
    return _size(job, _row_limit(app, app.settings.max_argument_bytes)) < 0


def made_in(app: App, session: Any, make: Callable[[], T]) -> T:
    """What ``make`` makes for the transaction of ``session``. On SQLite, what goes to the store is written in it, since
    no other transaction could write meanwhile.
    """
    if session is None or app.settings.store_above is None or app.database.dialect != "sqlite":
        return make()
    with in_session(session):
        return make()


def pack_arguments(app: App, cls: Any, text: str) -> tuple[str, tuple[UUID, ...]]:
    """The arguments as their row holds them, and the ids of the values that went to the store.

    Args:
        text: the arguments in clear, as JSON.

    Raises:
        ArgumentsRefused: they are too large even so.
        SealKeyMissing, ConfigurationError: this process has no keys for them.
        ServiceDown: the ledger does not answer; ``StoreDown`` if it is the store.
    """
    most, kind = app.settings.max_argument_bytes, cls.options.kind
    limit = _row_limit(app, most)
    left = _bytes_of(text)
    if left <= limit:
        return text, ()
    given: dict[str, Any] = from_json(text)
    sealing = cls._sealing
    parts = {name: to_json(given[name]) for name in given.keys() - _kept(cls)}
    blobs = []
    for name in sorted(parts, key=lambda one: len(parts[one]), reverse=True):
        if left <= limit or len(parts[name]) < MIN_PACKED:
            break
        seals = sealing is not None and name in sealing.fields
        value, reference = _stored(app, parts[name], name=f"{kind}.{name}", seals=seals)
        if seals:
            value[HASHED] = app.seals.hash_of(app, kind, name, given[name])
        given[name] = value
        left -= len(parts[name]) - len(to_json(value))
        blobs.append(reference.id)
    text = to_json(given).decode()
    check_json(text, what=f"Those arguments of {kind} that stay in its row", max_bytes=most)
    return text, tuple(blobs)


def pack_result(app: App, kind: str, run_id: UUID, text: str, seal: RunSeal | None) -> str | None:
    """The result of a run as its row holds it, if it goes to the store; None if it is small enough to stay.

    Raises:
        ArgumentsRefused: it is larger than JOBS_MAX_STORED_BYTES.
        StoreDown: the store, or the ledger, does not answer: the work is not done yet.
    """
    if not result_is_large(app, kind, text):
        return None
    seals = seal is not None and seal.seals_result
    from jobs.storage.ledger_store import as_store_down

    with as_store_down():
        value, _ = _stored(app, text.encode(), name=f"{kind} result", seals=seals, run_id=run_id)
    if seal is not None and seals:
        value |= from_json(seal.result_text(to_json(value[SEALED]).decode()) or "{}")
    return to_json(value).decode()


def result_is_large(app: App, kind: str, text: str) -> bool:
    """Whether a result goes to the store. Not those of actors and Django's tasks."""
    if app.settings.store_above is None or getattr(registry.find(kind), "_write_own", None) is not None:
        return False
    return _bytes_of(text) > _row_limit(app, app.settings.max_result_bytes)


def unpack_arguments(app: App, text: str) -> str:
    """Arguments as JSON with what is in a store; sealed ones stay as they are.

    Raises:
        StoredMissing, StoredAltered, StoreDown: a value cannot be read.
    """
    if not may_hold_packed(text):
        return text
    given = from_json(text)
    if not isinstance(given, dict):
        return text
    read = {name: one if is_sealed(one) else packed_content.unpacked(app, one) for name, one in given.items()}
    return to_json(read).decode()


def in_clear(app: App, run: RunRecord, *, max_bytes: int | None = None) -> RunRecord:
    """A run with those of its arguments, and its result, read from their store that are not sealed, and not larger than
    ``max_bytes``.

    Raises:
        StoredMissing, StoredAltered, StoreDown: one cannot be read.
    """

    def is_read(value: Any) -> bool:
        reference = packed_in(value)
        return reference is not None and not is_sealed(value) and (max_bytes is None or reference.size <= max_bytes)

    given, result = run.arguments, run.result
    if isinstance(given, dict) and any(map(is_read, given.values())):
        given = {name: packed_content.unpacked(app, one) if is_read(one) else one for name, one in given.items()}
    if is_read(result):
        result = packed_content.unpacked(app, result)
    return run if given is run.arguments and result is run.result else replace(run, arguments=given, result=result)


def read_packed(app: App, reference: Reference) -> bytes:
    """The content of a value that is in a store because it is large: it was in memory before, too.

    Raises:
        StoredMissing, StoredAltered, StoreDown: it cannot be read.
    """
    from jobs.storage.reader import open_reference

    with open_reference(app, reference) as file:
        return file.read()


packed_content.read_by(read_packed)


def _stored(
    app: App, data: bytes, *, name: str, seals: bool, run_id: UUID | None = None
) -> tuple[dict[str, Any], Reference]:
    """What the row holds in place of a value; with the key of its content, in clear, if it is to be sealed."""
    from jobs.storage.upload import upload_once

    if not seals:
        reference = upload_once(app, data, name=name, run_id=run_id)
        return packed(reference), reference
    from jobs.sealing.content import seal_content

    key, data = seal_content(data)
    reference = upload_once(app, data, name=name, run_id=run_id)
    return {**packed(reference), SEALED: key}, reference


def _kept(cls: Any) -> set[str]:
    """Fields that stay in the row: others read them there."""
    subject = cls._sealing.subject if cls._sealing is not None else None
    return {*cls._stored_fields, *(by for _, by in shown_keys(cls.options)), *([subject] if subject else [])}


def _row_limit(app: App, most: int) -> int:
    above = app.settings.store_above
    return most if above is None else min(above, most)


def _bytes_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _size(value: Any, left: int) -> int:
    """``left`` without the most bytes that the JSON of a value takes; below zero as soon as that is known."""
    if isinstance(value, str):
        return left - 6 * len(value) - _SMALL
    if isinstance(value, BaseModel):
        value = {**value.__dict__, **(value.__pydantic_extra__ or {})}
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        for one in value:
            left = _size(one, left)
            if left < 0:
                break
        return left
    is_small = value is None or isinstance(value, int | float | Decimal | Enum | UUID) or hasattr(value, "resolution")
    return left - _SMALL if is_small else -1
