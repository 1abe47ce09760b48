"""Changes of arguments that an operator gives with a replay: ``field`` or ``field.inner`` to a JSON value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.definition import registry
from jobs.definition.arguments import check_json, read_arguments, write_arguments
from jobs.errors import ArgumentsRefused, SelectorRefused
from jobs.formats.stored_reference import packed_in
from jobs.ledger.blobs.blob_errors import StoredAltered, StoredMissing, StoreDown
from jobs.ledger.run_records import RunRecord
from jobs.sealing import sealed_run
from jobs.sealing.rotation import reseal
from jobs.sealing.seal_errors import SealKeyMissing, SubjectForgotten
from jobs.storage.packing import unpack_arguments

UNREADABLE = (ArgumentsRefused, SealKeyMissing, SubjectForgotten, StoredMissing, StoredAltered, StoreDown)
"""Errors of arguments that cannot be changed, or sealed for another run: that run is passed over."""


def inner(given: Any, path: str) -> object:
    """The value at ``path`` in arguments; None if there is none."""
    for part in path.split("."):
        given = given.get(part) if isinstance(given, dict) else None
    return given


def check_changes(changes: Mapping[str, Any], kinds: list[str]) -> None:
    """Refuse changes to fields that a kind does not have, before asking or doing anything.

    Raises:
        NotFound: this process does not know a kind.
        SelectorRefused: its job does not have a field.
    """
    for kind in kinds:
        cls = registry.get(kind)
        for path in changes:
            _field(path, cls)


def _field(path: str, cls: Any) -> None:
    name = path.partition(".")[0]
    if name not in cls.model_fields:
        raise SelectorRefused(
            f"{cls.options.kind} has no argument {name!r}.",
            hint=f"Its arguments: {', '.join(cls.model_fields) or 'none'}.",
        )


def set_argument(given: Any, path: str, value: Any, cls: Any) -> None:
    """Put ``value`` at ``path`` into the arguments of ``cls``.

    Raises:
        SelectorRefused: the class has no such field.
        ArgumentsRefused: a part of the path is not an object.
    """
    _field(path, cls)
    *outer, last = path.split(".")
    here = given
    for part in outer:
        here = here.setdefault(part, {}) if isinstance(here, dict) else None
        if not isinstance(here, dict):
            raise ArgumentsRefused(f"argument {path!r} cannot be set: {part!r} is not an object")
    here[last] = value


def changed_arguments(app: App, old: RunRecord, text: str, new_id: UUID, changes: Mapping[str, Any]) -> str:
    """The arguments ``text`` of the run ``old`` with ``changes``, as the row of the run ``new_id`` holds them.

    What is in the store stays there, unless it is changed: then it has to fit into the row.

    Raises:
        ArgumentsRefused: they do not fit the class, are of another version, or are too large.
        SealKeyMissing, SubjectForgotten: they are sealed, and cannot be opened.
        StoredMissing, StoredAltered, StoreDown: they are in a store, and cannot be read.
    """
    cls = registry.get(old.kind)
    if cls.options.version != old.arguments_version:
        raise ArgumentsRefused(f"its arguments are of version {old.arguments_version}, the job's of another")
    sealing, settings = cls._sealing, app.settings
    opened = unpack_arguments(app, text)
    if sealing is not None:
        opened = app.seals.open_arguments(app, opened, old.id)[0]
    before, given = json.loads(opened), json.loads(opened)
    for path, value in changes.items():
        set_argument(given, path, value, cls)
    job = read_arguments(cls, json.dumps(given), kind=old.kind)
    stored = {name for name, one in json.loads(text).items() if packed_in(one) is not None}
    most = settings.max_stored_bytes if stored else settings.max_argument_bytes
    clear = write_arguments(job, kind=old.kind, max_bytes=most)
    if stored:
        after = json.loads(clear)
        stored = {name for name in stored if after.get(name) == before[name]}
        clear = json.dumps({name: one for name, one in after.items() if name not in stored}, ensure_ascii=False)
        check_json(clear, what=f"Arguments of {old.kind}", max_bytes=settings.max_argument_bytes)
    if sealing is not None:
        clear = sealed_run.ClearArguments(app, sealing, old.kind, clear).sealed_for(new_id)
    if not stored:
        return clear
    resealed = json.loads(reseal(app, text, old.id, new_id))
    return json.dumps(
        {**json.loads(clear), **{name: resealed[name] for name in stored}}, ensure_ascii=False, separators=(",", ":")
    )
