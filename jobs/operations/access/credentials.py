"""Hashes passwords with argon2id and secrets with SHA-256; a stored hash does not let anybody sign in."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jobs.clock import new_secret
from jobs.errors import ConfigurationError
from jobs.operations.access.access_errors import CredentialRefused, Overloaded

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")
MIN_PASSWORD, MAX_PASSWORD = 12, 256
"""Characters. Source: decision, above the 8 that NIST SP 800-63B asks for; the upper bound keeps hashing short."""
TOKEN_PREFIX = "jl_"  # noqa: S105
"""Prefix of machine tokens, by which scanners of leaked secrets recognise them."""
AT_ONCE, WAITING = 2, 6
"""Hashings at once (64 MiB each), and callers that may wait for one; the next is refused. Source: decision.

A waiting caller occupies a thread that others could use.
"""
GIVE_WAY = 14
"""Niceness of a hashing thread relative to its process. Source: measured (benchmarks/sign_in_load.py)."""
COST: dict[str, Any] = {}
"""argon2's own cost; empty is the library's default, RFC 9106's for little memory (64 MiB, 3 passes)."""


COMMON = Path(__file__).with_name("common_passwords.txt")
_LEET = str.maketrans("0134578@$!", "oleastbasi")
"""Digits and signs that replace letters."""


def check_password(password: str, *, name: str) -> None:
    """Refuse a password that is easy to guess.

    Raises:
        CredentialRefused: it is too short, too long, equal to the name, of too few characters, or common.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise CredentialRefused(
            f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters, not {len(password)}.",
            hint="Several words make a good one.",
        )
    if name.lower() in password.lower() or len(set(password)) < 5:
        raise CredentialRefused("The password is easy to guess.", hint="Leave the name out, and repeat less.")
    if is_common(password):
        raise CredentialRefused("This password, or one like it, is common.", hint="Several words make a good one.")


def is_common(password: str) -> bool:
    """Whether it is a common password, or derived from one: repeated, with digits around it or instead of letters."""
    plain = password.casefold()
    if plain.strip().isdecimal():
        return True
    known = _common()
    for text in (plain, plain.translate(_LEET)):
        letters = "".join(one for one in text if one.isalpha())
        bare = plain.strip("0123456789 _-.,:;!?#*+@$&%/()").translate(_LEET if text is not plain else {})
        if known & {text, bare, _unit(text), _unit(bare), letters, _unit(letters)}:
            return True
    return False


def _unit(text: str) -> str:
    """The unit that a text repeats, or all of it."""
    at = (text + text).find(text, 1) if text else 0
    return text[:at]


@cache
def _common() -> frozenset[str]:
    lines = COMMON.read_text(encoding="ascii").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def hash_password(password: str) -> str:
    """argon2id, with its parameters and salt in the text.

    Raises:
        Overloaded: this process already hashes as many passwords as it may.
    """
    return _hashers.run(lambda: _hasher().hash(password))


def is_password(password: str, hashed: str | None) -> bool:
    """Whether it is the password of this hash; with None it takes the same time, and the answer is no.

    Raises:
        Overloaded: this process already hashes as many passwords as it may.
    """
    from argon2.exceptions import InvalidHashError, VerificationError

    def look() -> bool:
        try:
            return _hasher().verify(hashed or _nobodys(), password[: MAX_PASSWORD + 1]) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False

    return _hashers.run(look)


def new_token_secret() -> str:
    return TOKEN_PREFIX + new_secret()


def hash_secret(secret: str) -> str:
    """SHA-256 in hex: enough for long random secrets."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _hasher() -> PasswordHasher:
    try:
        from argon2 import PasswordHasher
    except ImportError:
        raise ConfigurationError(
            "Passwords need argon2-cffi, which is not installed.", hint="pip install 'jobledger[web]'."
        ) from None
    return PasswordHasher(**COST)


class _Hashers:
    """Threads of their own for hashing, which takes a tenth of a second of a core; few callers may wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0
        self._threads: ThreadPoolExecutor | None = None

    def run(self, work: Callable[[], T]) -> T:
        with self._lock:
            if self._taken >= AT_ONCE + WAITING:
                raise Overloaded("Too many passwords are being checked.", hint="Try again in a moment.")
            self._taken += 1
            if self._threads is None:
                self._threads = ThreadPoolExecutor(AT_ONCE, "jobs-hashing", initializer=_give_way)
            threads = self._threads
        try:
            return threads.submit(work).result()
        finally:
            with self._lock:
                self._taken -= 1


def _give_way() -> None:
    # On Linux a thread has a priority of its own, which the threads that argon2 starts inherit.
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.nice(0) + GIVE_WAY)


_hashers = _Hashers()
_nobody: list[str] = []


def _nobodys() -> str:
    """The hash against which the password of an unknown name is checked."""
    if not _nobody:
        _nobody.append(_hasher().hash(new_secret()))
    return _nobody[0]
