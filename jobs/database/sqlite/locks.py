"""The lock files next to a SQLite ledger, and the order in which a turn takes them; see ``write_queue``."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path

from jobs import fork_hooks
from jobs.database.sqlite.file import refuse_network_file_system
from jobs.errors import ConfigurationError

if sys.platform != "win32":
    import fcntl

    def _lock(file: int, *, wait: bool, shared: bool = False) -> None:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)

    def _unlock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
else:  # Windows has no flock: threads queue, and processes rely on SQLite's busy time limit.

    def _lock(file: int, *, wait: bool, shared: bool = False) -> None: ...

    def _unlock(file: int) -> None: ...


GATE, URGENT, WRITE = range(3)
SUFFIXES = ("-gate", "-urgent", "-write")
POLITE_LOOKS, POLL_SECONDS = 100, 0.0002
"""A batch lets urgent writers go first for about 30 ms, so that many of them cannot starve it. Source: decision."""

_open_files: set[int] = set()
_opening = threading.RLock()
"""Held while ``_open_files`` changes, so that a fork copies no open file that is missing there.

Reentrant, because a signal handler that writes may interrupt its own thread there.
"""


def take_turn(files: list[int], *, is_urgent: bool, wait: bool) -> None:
    """Take the locks of a turn, in order.

    Raises:
        BlockingIOError: one is not free, and ``wait`` is false; the locks before it are held.
    """
    if is_urgent:
        # Announced only while it waits: without waiting it need not go first.
        if wait:
            _lock(files[URGENT], wait=True, shared=True)
        _lock(files[WRITE], wait=wait)
        _unlock(files[URGENT])
        return
    _lock(files[GATE], wait=wait)
    for _ in range(POLITE_LOOKS):
        try:
            _lock(files[URGENT], wait=False)
            _unlock(files[URGENT])
            break
        except BlockingIOError:
            if not wait:
                raise
            threading.Event().wait(POLL_SECONDS)
    _lock(files[WRITE], wait=wait)


def free_turn(files: list[int]) -> None:
    """Release the held locks among ``files``; the write lock first."""
    for file in reversed(files):
        _unlock(file)


def open_locks(database: Path) -> list[int]:
    """Open the lock files of a writer, and make those that are missing.

    Raises:
        ConfigurationError: the database or its folder cannot be written, or is on a network file system.
    """
    refuse_network_file_system(database)
    # Root may access everything. Any other user who may not write the database must not take its locks.
    as_effective = os.access in os.supports_effective_ids
    if database.exists() and not os.access(database, os.W_OK, effective_ids=as_effective):
        raise ConfigurationError(
            f"The ledger {database} cannot be written by this user.",
            hint="Run as the user that owns it, or give this user the right to write it and its folder.",
        )
    files: list[int] = []
    try:
        with _opening:
            for suffix in SUFFIXES:
                files.append(_open_like(database, database.with_name(database.name + suffix)))
                _open_files.add(files[-1])
    except OSError as err:
        close_locks(files)
        raise ConfigurationError(
            f"The lock file {err.filename} beside the ledger cannot be opened: {err.strerror}.",
            hint="Its folder must exist, and the user that writes the ledger must be able to write there.",
        ) from err
    return files


def _open_like(database: Path, path: Path) -> int:
    """Open a lock file with the database's owner, writable only for users who may write the database.

    A user who may open a file may lock it and so stop every writer; permission to read is enough for that.
    """
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        with contextlib.suppress(OSError, AttributeError):
            owner = database.stat()
            os.fchown(file, owner.st_uid, owner.st_gid)
    with contextlib.suppress(OSError, AttributeError):
        writers = database.stat().st_mode & 0o222
        mode = writers | writers << 1
        if os.fstat(file).st_mode & 0o777 != mode:
            os.fchmod(file, mode)
    return file


def close_locks(files: list[int]) -> None:
    """Close ``files``, which releases their locks; skip those that are closed already."""
    with _opening:
        for file in files:
            if file in _open_files:
                _open_files.discard(file)
                os.close(file)


_held_for_fork: list[None] = []


def _hold_openings() -> None:
    """Before a fork: wait until no other thread opens or closes lock files."""
    _opening.acquire()
    _held_for_fork.append(None)


def _let_openings_go() -> None:
    while _held_for_fork:
        _held_for_fork.pop()
        _opening.release()


def _close_inherited() -> None:
    """In a forked child: close every file without unlocking it, because the locks are the parent's."""
    _let_openings_go()
    close_locks(list(_open_files))


fork_hooks.register(before=_hold_openings, in_parent=_let_openings_go, in_child=_close_inherited)
