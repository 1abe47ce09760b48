"""Seals stored values again: with the first key of the file, or for another run."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from jobs.sealing.seals import RESULT, STEP, SealHost
from jobs.sealing.subjects import PREFIX
from jobs.sealing.values import SEALED, is_sealed, key_id_of, open_value, seal


def reseal(app: SealHost, text: str, old_id: UUID, new_id: UUID) -> str:
    """The arguments of run ``old_id`` for run ``new_id``; the text itself if nothing in it is sealed.

    Raises:
        SealKeyMissing, SealBroken, SubjectForgotten: a value cannot be opened.
    """
    if SEALED not in text:
        return text
    return _mapped(text, lambda name, value: _again(app, value, (old_id, name), (new_id, name)))


def with_first_key(app: SealHost, text: str, run_id: UUID, *, step: str | None = None, is_result: bool = False) -> str:
    """Stored arguments, or a result or a step, sealed with the first key; the same text if they are already.

    Values that a subject's key seals stay as they are: only the subject's key is sealed again.

    Raises:
        SealKeyMissing, SealBroken: a value cannot be opened.
    """
    if SEALED not in text:
        return text
    first = app.seals.keys.key_set(app).first

    def turned(field: str, value: Any) -> Any:
        key_id = key_id_of(value[SEALED])
        if key_id == first or key_id.startswith(PREFIX):
            return value
        return _again(app, value, (run_id, field), (run_id, field))

    if step is None and not is_result:
        return _mapped(text, turned)
    value = json.loads(text)
    return _plain(turned(RESULT if step is None else STEP + step, value)) if is_sealed(value) else text


def _again(app: SealHost, value: Any, old: tuple[UUID, str], new: tuple[UUID, str]) -> Any:
    key_id = key_id_of(value[SEALED])
    if key_id.startswith(PREFIX):
        cipher = app.seals.subjects.opening(app, key_id)
        return {**value, SEALED: seal(cipher, key_id, open_value(cipher, value[SEALED], *old), *new)}
    clear = open_value(app.seals.keys.cipher(app, key_id), value[SEALED], *old)
    key_set = app.seals.keys.key_set(app)
    return {**value, SEALED: seal(key_set.ciphers[key_set.first], key_set.first, clear, *new)}


def _mapped(text: str, change: Callable[[str, Any], Any]) -> str:
    given = json.loads(text)
    if not isinstance(given, dict):
        return text
    changed = {name: change(name, one) if is_sealed(one) else one for name, one in given.items()}
    return text if changed == given else _plain(changed)


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
