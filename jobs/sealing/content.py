"""Encrypts values that are too large for a row, for a store: each with a key of its own, which the row holds sealed.

So another key of the file, another run (a replay) and a forgotten subject change the row alone, and never the content.
"""

from __future__ import annotations

import base64
import os

from jobs.sealing.keys import KEY_BYTES, new_cipher
from jobs.sealing.seal_errors import SealBroken
from jobs.sealing.values import NONCE_BYTES


def seal_content(data: bytes) -> tuple[str, bytes]:
    """A new key as text, which is to be sealed, and ``data`` encrypted with it (AES-256-GCM)."""
    key, nonce = os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES)
    return base64.b64encode(key).decode(), nonce + new_cipher(key).encrypt(nonce, data, None)


def open_content(key: str, data: bytes) -> bytes:
    """What ``seal_content`` was given.

    Raises:
        SealBroken: it is not what was encrypted with this key.
    """
    try:
        opened: bytes = new_cipher(base64.b64decode(key)).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], None)
    except Exception as error:
        # By its name, as in ``open_value``.
        if type(error).__name__ != "InvalidTag" and not isinstance(error, ValueError | TypeError):
            raise
        raise SealBroken("The content of a sealed value in a store is not what was sealed.", field=None) from None
    return opened
