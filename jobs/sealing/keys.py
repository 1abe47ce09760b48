"""The keys that seal: read from the file that JOBS_SEAL_KEYS_FILE names, and read again when it has changed."""

from __future__ import annotations

import base64
import binascii
import logging
import os
import re
import stat
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jobs.clock import Clock
from jobs.errors import ConfigurationError
from jobs.sealing.seal_errors import SealKeyMissing

if TYPE_CHECKING:
    from jobs.database.engine import Database
    from jobs.settings import Settings

log = logging.getLogger("jobs.sealing")

LOOK_EVERY = 5.0
"""Seconds between two looks at whether the file has changed. Source: decision."""
HASH = "hash"
"""The id of the key for hashes, which never seals."""
KEY_BYTES = 32
"""AES-256. Source: NIST FIPS 197."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,50}")


class KeyHost(Protocol):
    """What keys need of an App."""

    @property
    def settings(self) -> Settings: ...
    @property
    def database(self) -> Database: ...
    @property
    def clock(self) -> Clock: ...


@dataclass(frozen=True, slots=True)
class KeySet:
    """Keys by id; the first seals, and all open."""

    first: str
    ciphers: dict[str, Any] = field(repr=False)
    hash_key: bytes = field(repr=False)


def read_key_set(path: Path) -> KeySet:
    """The keys of a file: one ``ID KEY`` a line, the key in base64; lines with ``#`` are comments.

    Raises:
        ConfigurationError: the file cannot be read, others may read it, or it holds no valid keys.
    """
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ConfigurationError(f"JOBS_SEAL_KEYS_FILE names {path}, which cannot be read: {reason}.") from None
    if mode & 0o007:
        raise ConfigurationError(
            f"JOBS_SEAL_KEYS_FILE names {path}, which every user of this machine may read (mode {mode:04o}).",
            hint=f"Allow its owner alone: chmod 600 {path}.",
        )
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.split("#", 1)[0].split()
        if not parts:
            continue
        key = _decoded(parts[1]) if len(parts) == 2 and _ID.fullmatch(parts[0]) else None
        if key is None or parts[0] in keys:
            # Never with the line itself: it is a key.
            raise ConfigurationError(
                f"Line {number} of {path} is no key: an id of letters, digits, _ and -, used once, and "
                f"{KEY_BYTES} bytes in base64.",
                hint="Make one: jobledger seal key.",
            )
        keys[parts[0]] = key
    hash_key = keys.pop(HASH, None)
    if not keys or hash_key is None:
        lacks = f"a key called {HASH}" if keys else "a key that seals"
        raise ConfigurationError(f"{path} lacks {lacks}.", hint="Make it: jobledger seal key.")
    return KeySet(next(iter(keys)), {name: _cipher(key) for name, key in keys.items()}, hash_key)


class Keys:
    """The keys of one App. A file that has become invalid leaves the keys as they were, and is logged."""

    def __init__(self) -> None:
        self._key_set: KeySet | None = None
        self._seen: Any = None
        self._look_at = float("-inf")
        self._lock = threading.Lock()

    def key_set(self, app: KeyHost, *, look: bool = False) -> KeySet:
        """The keys as they are now.

        Args:
            look: whether to look at the file even if that was done a moment ago.

        Raises:
            SealKeyMissing: JOBS_SEAL_KEYS_FILE is not set.
            ConfigurationError: its file is invalid.
        """
        now = app.clock.monotonic()
        if self._key_set is not None and now < self._look_at and not look:
            return self._key_set
        path = app.settings.seal_keys_file
        if path is None:
            raise SealKeyMissing(
                "This process has no keys for sealed values: JOBS_SEAL_KEYS_FILE is not set.",
                key_id=None,
                hint="Name the file with the keys.",
            )
        with self._lock:
            self._look_at = now + LOOK_EVERY
            seen = _state(path)
            if self._key_set is None or seen != self._seen:
                try:
                    self._key_set = read_key_set(path)
                except ConfigurationError as error:
                    if self._key_set is None:
                        raise
                    log.error("Keys of sealed values not read again", extra={"reason": str(error)})
                self._seen = seen
            return self._key_set

    def cipher(self, app: KeyHost, key_id: str) -> Any:
        """The cipher of a key.

        Raises:
            SealKeyMissing: this process does not have it.
        """
        found = self.key_set(app).ciphers.get(key_id) or self.key_set(app, look=True).ciphers.get(key_id)
        if found is None:
            raise SealKeyMissing(
                f"A value is sealed with the key {key_id!r}, which is not in {app.settings.seal_keys_file}.",
                key_id=key_id,
                hint="Add the key to the file.",
            )
        return found


def new_key() -> str:
    """A new key as a line of the file holds it."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def new_cipher(key: bytes) -> Any:
    """The cipher of a key that is not in the file."""
    return _cipher(key)


def _cipher(key: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise ConfigurationError(
            "Sealed values need the package cryptography.", hint="Install it: pip install 'jobledger[seal]'."
        ) from None
    return AESGCM(key)


def _decoded(text: str) -> bytes | None:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None


def _state(path: Path) -> Any:
    try:
        seen = os.stat(path)
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_ino, seen.st_size, seen.st_mode
