"""Seals and opens the arguments, results and steps of runs with the keys of one App."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from typing import Any, Protocol
from uuid import UUID

from pydantic_core import from_json, to_json

from jobs.definition.redaction import MIN_SECRET
from jobs.definition.secret import Sealing
from jobs.formats.stored_reference import packed_in
from jobs.ledger.blobs.packed_content import content_of
from jobs.sealing.content import open_content
from jobs.sealing.keys import KeyHost, Keys
from jobs.sealing.subjects import PREFIX, Subjects
from jobs.sealing.values import HASHED, SEALED, SHOWN, is_sealed, key_id_of, keyed_hash, open_value, seal

RESULT = "$result"
"""The field of a run's result."""
STEP = "$step:"
"""Begins the field of a step's or a cursor's result."""


class Seals:
    """Seals and opens values."""

    def __init__(self) -> None:
        self.keys = Keys()
        self.subjects = Subjects(self.keys)

    def seal_arguments(
        self, app: KeyHost, sealing: Sealing, kind: str, given: dict[str, Any], run_id: UUID, *, subject: Any
    ) -> str:
        """The arguments of a run as the ledger stores them.

        Args:
            subject: whose data it is, if the kind has subjects.

        Raises:
            SealKeyMissing, ConfigurationError: this process has no keys.
        """
        key_set = self.keys.key_set(app)
        key_id, cipher = key_set.first, key_set.ciphers[key_set.first]
        if sealing.subject is not None and subject is not None:
            key_id, cipher = self.subjects.sealing(app, subject)
        stored = {}
        for name, value in given.items():
            if name not in sealing.fields:
                stored[name] = value
                continue
            if packed_in(value) is not None:
                # Its content is encrypted already; what it was encrypted with is sealed here.
                stored[name] = {**value, SEALED: seal(cipher, key_id, _plain(value[SEALED]), run_id, name)}
                continue
            text = _plain(value)
            stored[name] = {
                SEALED: seal(cipher, key_id, text, run_id, name),
                HASHED: keyed_hash(key_set.hash_key, kind, name, hashable(value)),
            }
        return _plain(stored)

    def open_arguments(
        self, app: KeyHost, text: str, run_id: UUID, *, fields: Container[str] | None = None
    ) -> tuple[str, list[str]]:
        """The clear arguments of a run as JSON, and the texts in them that were sealed, to hide them in errors.

        Args:
            fields: those that may be sealed; None: any.

        Raises:
            SealKeyMissing: a key is not here.
            SealBroken: a value was sealed for another run or field, or was altered.
            SubjectForgotten: the key of its subject was deleted.
            StoredMissing, StoredAltered, StoreDown: a value that is in a store cannot be read.
        """
        given = from_json(text)
        if not isinstance(given, dict):
            return text, []
        secrets: list[str] = []
        for name, value in given.items():
            if is_sealed(value) and (fields is None or name in fields):
                given[name] = self.open(app, value, run_id, name)
                secrets += leaves(given[name])
        return _plain(given), secrets

    def seal_text(self, app: KeyHost, sealing: Sealing, text: str, run_id: UUID, field: str, *, subject: Any) -> str:
        """JSON text (a result, a step) as the ledger stores it. Raises the same as ``seal_arguments``."""
        key_id, cipher = self._sealing(app, sealing, subject)
        return _plain({SEALED: seal(cipher, key_id, text, run_id, field)})

    def open(self, app: KeyHost, value: Any, run_id: UUID, field: str) -> Any:
        """The value behind a sealed one; any other as it is. Raises the same as ``open_arguments``."""
        if not is_sealed(value):
            return value
        key_id = key_id_of(value[SEALED])
        is_subjects = key_id.startswith(PREFIX)
        cipher = self.subjects.opening(app, key_id) if is_subjects else self.keys.cipher(app, key_id)
        opened = from_json(open_value(cipher, value[SEALED], run_id, field))
        reference = packed_in(value)
        return opened if reference is None else from_json(open_content(opened, content_of(app, reference)))

    def hash_of(self, app: KeyHost, kind: str, name: str, value: Any) -> str:
        """The keyed hash of the value of an argument, by which it is found."""
        return keyed_hash(self.keys.key_set(app).hash_key, kind, name, hashable(value))

    def hash_text(self, app: KeyHost, *parts: str) -> str:
        """A keyed hash of texts; 32 hexadecimal digits."""
        return keyed_hash(self.keys.key_set(app).hash_key, *parts)

    def _sealing(self, app: KeyHost, sealing: Sealing, subject: Any) -> tuple[str, Any]:
        if sealing.subject is not None and subject is not None:
            return self.subjects.sealing(app, subject)
        key_set = self.keys.key_set(app)
        return key_set.first, key_set.ciphers[key_set.first]


class SealHost(KeyHost, Protocol):
    """What sealed runs need of an App."""

    @property
    def seals(self) -> Seals: ...


def hashable(value: Any) -> str:
    """The text of a JSON value that its hash is made of: the same whatever the order of its keys."""
    if isinstance(value, str):
        return f'"{value}'
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def stable(text: str) -> str:
    """The arguments' text with the hash in place of each sealed value: the same after its key was changed."""
    given = json.loads(text)
    if isinstance(given, dict):
        given = {name: {HASHED: one.get(HASHED)} if is_sealed(one) else one for name, one in given.items()}
    return _plain(given)


def leaves(value: Any) -> list[str]:
    """The texts inside a JSON value that are long enough to be searched for."""
    if isinstance(value, str) and value.isalnum():
        return [value] if len(value) >= MIN_SECRET else []
    if isinstance(value, dict):
        return [one for part in value.values() for one in leaves(part)]
    if isinstance(value, list):
        return [one for part in value for one in leaves(part)]
    if value is None or isinstance(value, bool) or len(str(value)) < MIN_SECRET:
        return []
    # As a traceback shows it, too.
    return list({str(value), repr(value).strip("'\"")})


def hide(text: str, secrets: Iterable[str]) -> str:
    """``text`` without the texts that were sealed."""
    # The longest first: one may be a part of another.
    for one in sorted(secrets, key=len, reverse=True):
        text = text.replace(one, SHOWN)
    return text


def _plain(value: Any) -> str:
    return to_json(value).decode()
