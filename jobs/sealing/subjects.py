"""Keys of subjects: each person or customer has one, stored sealed; whoever deletes it erases all that it sealed."""

from __future__ import annotations

import base64
import os
from typing import Any
from uuid import UUID

from jobs.clock import new_run_id
from jobs.ledger.operators.subject_keys import add_key, key_in_use, sealed_key
from jobs.sealing.keys import KEY_BYTES, KeyHost, Keys, new_cipher
from jobs.sealing.seal_errors import SealBroken, SubjectForgotten
from jobs.sealing.values import key_id_of, keyed_hash, open_value, seal

PREFIX = "s:"
"""Begins the key id of a value that a subject's key sealed."""
KEPT_SECONDS = 30.0
"""How long a process remembers a subject's key, and may still use it after it was forgotten. Source: decision."""
MOST_KEPT = 10_000
_FIELD = "subject"


class Subjects:
    """The keys of subjects that a process remembers."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._by_hash: dict[str, tuple[str, float]] = {}
        self._ciphers: dict[str, tuple[Any, float]] = {}

    def hash_of(self, app: KeyHost, subject: Any) -> str:
        """The hash under which the ledger knows a subject: the same for the number 42 and the text ``42``."""
        return keyed_hash(self._keys.key_set(app).hash_key, _FIELD, str(subject))

    def sealing(self, app: KeyHost, subject: Any) -> tuple[str, Any]:
        """The key id and the cipher that seal for a subject; makes its key if it has none.

        Raises:
            SealKeyMissing, ConfigurationError: this process has no keys.
            ServiceDown: the ledger does not answer.
        """
        subject_hash, now = self.hash_of(app, subject), app.clock.monotonic()
        known = self._by_hash.get(subject_hash)
        if known is not None and now < known[1]:
            return known[0], self._ciphers[known[0]][0]
        with app.database.read() as connection:
            found = key_in_use(connection, subject_hash)
        if found is None:
            key_set, key_id = self._keys.key_set(app), new_run_id()
            fresh = base64.b64encode(os.urandom(KEY_BYTES)).decode()
            sealed = seal(key_set.ciphers[key_set.first], key_set.first, fresh, key_id, _FIELD)
            with app.database.write(urgent=True) as connection:
                add_key(connection, key_id, subject_hash, sealed)
                found = key_in_use(connection, subject_hash)
            assert found is not None
        name = f"{PREFIX}{found[0]}"
        self._remember(app, name, found[1], now)
        self._by_hash[subject_hash] = name, now + KEPT_SECONDS
        return name, self._ciphers[name][0]

    def opening(self, app: KeyHost, name: str) -> Any:
        """The cipher that opens values with this key id.

        Raises:
            SubjectForgotten: the key was deleted.
            SealKeyMissing: this process does not have the key that seals it.
        """
        known, now = self._ciphers.get(name), app.clock.monotonic()
        if known is not None and now < known[1]:
            return known[0]
        try:
            key_id = UUID(name.removeprefix(PREFIX))
        except ValueError:
            raise SealBroken("A sealed value names no key.", field=None) from None
        with app.database.read() as connection:
            found = sealed_key(connection, key_id)
        if found is None:
            raise SubjectForgotten("The subject of a sealed value was forgotten, so nobody can read it.")
        return self._remember(app, name, found, now)

    def forget(self) -> None:
        """Remember no key."""
        self._by_hash.clear()
        self._ciphers.clear()

    def _remember(self, app: KeyHost, name: str, sealed: str, now: float) -> Any:
        cipher = self._keys.cipher(app, key_id_of(sealed))
        key = base64.b64decode(open_value(cipher, sealed, UUID(name.removeprefix(PREFIX)), _FIELD))
        if len(self._ciphers) >= MOST_KEPT:
            self.forget()
        made = new_cipher(key)
        self._ciphers[name] = made, now + KEPT_SECONDS
        return made
