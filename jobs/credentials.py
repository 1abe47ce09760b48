"""Credentials: passwords as argon2id, secrets as SHA-256. What the ledger keeps lets nobody sign in."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any

from jobs.clock import new_secret
from jobs.errors import ConfigurationError, CredentialRefused

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_PASSWORD, MAX_PASSWORD = 12, 256
"""Characters. Source: decision, above the 8 that NIST SP 800-63B asks for; the upper bound keeps hashing short."""
TOKEN_PREFIX = "jl_"  # noqa: S105
"""What machine tokens begin with, so that scanners of leaked secrets know them."""
_AT_ONCE = threading.BoundedSemaphore(4)
"""Hashings at once: each takes 64 MiB."""
COST: dict[str, Any] = {}
"""argon2's own cost; empty is the library's default, RFC 9106's for little memory (64 MiB, 3 passes)."""


def check_password(password: str, *, name: str) -> None:
    """Refuse a password that is easy to guess.

    Raises:
        CredentialRefused: it is too short, too long, the name, or of too few characters.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise CredentialRefused(
            f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters, not {len(password)}.",
            hint="Several words make a good one.",
        )
    if name.lower() in password.lower() or len(set(password)) < 5:
        raise CredentialRefused("The password is easy to guess.", hint="Leave the name out, and repeat less.")


def hash_password(password: str) -> str:
    """argon2id, with its parameters and salt in the text."""
    with _AT_ONCE:
        return _hasher().hash(password)


def is_password(password: str, hashed: str | None) -> bool:
    """Whether it is the one that was hashed; with None it takes as long, and is not."""
    from argon2.exceptions import InvalidHashError, VerificationError

    with _AT_ONCE:
        try:
            return _hasher().verify(hashed or _nobodys(), password[: MAX_PASSWORD + 1]) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False


def new_token_secret() -> str:
    return TOKEN_PREFIX + new_secret()


def hash_secret(secret: str) -> str:
    """SHA-256 in hex: enough for what is random and long."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _hasher() -> PasswordHasher:
    try:
        from argon2 import PasswordHasher
    except ImportError:
        raise ConfigurationError(
            "Passwords need argon2-cffi, which this installation has not.", hint="pip install 'jobledger[web]'."
        ) from None
    return PasswordHasher(**COST)


_nobody: list[str] = []


def _nobodys() -> str:
    """The hash that the password of an unknown name is held against."""
    if not _nobody:
        _nobody.append(_hasher().hash(new_secret()))
    return _nobody[0]
