"""Fingerprint: an id that is the same for the same failure in the ledger, in logs and in Sentry."""

from __future__ import annotations

import hashlib


def fingerprint_of(kind: str, error: str, file: str = "", function: str = "") -> str:
    """Twelve hexadecimal digits of a kind, an error's class, and the place that raised it, if there is one."""
    text = "\0".join((kind, error, file, function))
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=6).hexdigest()
