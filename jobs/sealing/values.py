"""One sealed value: AES-256-GCM over its JSON, bound to its run and its field, so that no other place can open it.

Its form is ``{"$sealed": "KEY.CIPHERTEXT", "$hash": "…"}``. ``KEY`` is the id of a key of the file, or ``s:`` and the
id of a subject's key. The hash is keyed, and equal for equal values of one field: it serves filters. A value that is
too large for a row is in a store, encrypted with a key of its own: then that key is sealed here, beside the reference.
"""

from __future__ import annotations

import os
from binascii import Error, a2b_base64, b2a_base64
from hashlib import blake2b
from typing import Any
from uuid import UUID

from jobs.formats.stored_reference import MARK
from jobs.sealing.seal_errors import SealBroken

SEALED, HASHED = "$sealed", "$hash"
_FORM = frozenset({SEALED, HASHED, MARK})
SHOWN = "(sealed)"
"""What people see in place of a sealed value."""
NONCE_BYTES = 12
"""Source: NIST SP 800-38D, 8.2: a random nonce of 96 bits, for at most 2^32 values of one key."""


def is_sealed(value: Any) -> bool:
    """Whether a JSON value has the form of a sealed one."""
    return isinstance(value, dict) and isinstance(value.get(SEALED), str) and value.keys() <= _FORM


def seal(cipher: Any, key_id: str, text: str, run_id: UUID, field: str) -> str:
    """The ciphertext of ``text``, with the id of its key."""
    nonce = os.urandom(NONCE_BYTES)
    data = nonce + cipher.encrypt(nonce, text.encode(), _place(run_id, field))
    return f"{key_id}.{b2a_base64(data, newline=False).decode()}"


def open_value(cipher: Any, stored: str, run_id: UUID, field: str) -> str:
    """The JSON text that was sealed.

    Raises:
        SealBroken: it was sealed for another place, or was altered.
    """
    try:
        data = a2b_base64(stored.partition(".")[2], strict_mode=True)
        opened: bytes = cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], _place(run_id, field))
        return opened.decode()
    except Exception as error:
        # By its name, because importing the class for each value takes as long as opening it.
        if type(error).__name__ != "InvalidTag" and not isinstance(error, Error | ValueError):
            raise
        raise SealBroken(
            f"The sealed value {field!r} of run {run_id} was altered, or was sealed for another run or field.",
            field=field,
        ) from None


def key_id_of(stored: str) -> str:
    """The id of the key that sealed a value."""
    return stored.partition(".")[0]


def keyed_hash(hash_key: bytes, *parts: str) -> str:
    """A hash of ``parts`` that nobody can guess values by who does not have the key; 32 hexadecimal digits."""
    texts = [part.encode() for part in parts]
    # With their lengths, so that other parts with the same text between them give another hash.
    lengths = ",".join([str(len(one)) for one in texts])
    return blake2b(b"".join((lengths.encode(), b":", *texts)), key=hash_key, digest_size=16).hexdigest()


def masked(value: Any) -> Any:
    """JSON data as people see it: ``SHOWN`` in place of each sealed value. It may be nested to any depth. Data without
    a sealed value is returned as it is, not copied."""
    if not _has_sealed(value):
        return value
    top = [value]
    left: list[Any] = [top]
    while left:
        parent = left.pop()
        for place, one in list(parent.items() if isinstance(parent, dict) else enumerate(parent)):
            if is_sealed(one):
                parent[place] = SHOWN
            elif isinstance(one, dict | list):
                parent[place] = one.copy()
                left.append(parent[place])
    return top[0]


def _has_sealed(value: Any) -> bool:
    left: list[Any] = [[value]]
    while left:
        parent = left.pop()
        for one in parent.values() if isinstance(parent, dict) else parent:
            if isinstance(one, dict | list):
                if is_sealed(one):
                    return True
                left.append(one)
    return False


def _place(run_id: UUID, field: str) -> bytes:
    return run_id.bytes + field.encode()
