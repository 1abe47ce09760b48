"""Refuses connections of a process that performs a shadow run, except to the hosts and ports that are allowed.

Python's sockets and SQLite are watched by an audit hook, psycopg by its ``connect``. On Linux, if nothing is allowed,
the kernel refuses every other way too (libraries in C, programs that the job starts). Nothing of it can be undone, so
it is for a process of its own.
"""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import struct
import sys
from collections.abc import Collection
from typing import Any

from jobs.database.postgres.refuse_connections import check_connections

_CONNECT_EVENTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _EPERM = 0x7FFF0000, 0x00050001
_CALLS = {"x86_64": (0xC000003E, 42), "aarch64": (0xC00000B7, 203)}
"""By machine: its number in the kernel's filter, and that of ``connect``. Source: linux/audit.h, call tables."""


class ConnectionBlocked(ConnectionError):
    """A shadow run connects nowhere, unless ``--allow`` says so."""


class ConnectionGuard:
    """Keeps ``blocked``: what the job tried to connect to.

    Args:
        allow: pairs of host and port.
        files: SQLite files that may be opened, besides those in memory.
    """

    def __init__(self, *, allow: Collection[tuple[str, int]] = (), files: Collection[str] = ()) -> None:
        self._allow = frozenset(allow)
        self._files = frozenset(map(os.path.realpath, files))
        self.blocked: list[str] = []

    def install(self) -> bool:
        """Refuse from now on. Returns whether the kernel refuses too."""
        sys.addaudithook(self._on_event)
        check_connections(self._check)
        return not self._allow and _filter_connects()

    def _on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CONNECT_EVENTS:
            self._on_connect(*arguments[:2])
        elif event in _LOOKUPS:
            host, port = arguments[0], arguments[1] if len(arguments) > 1 else None
            if host and not self._is_allowed_host(str(host)):
                self._block(f"{_text(host)}:{port}" if port else _text(host))
        elif event == "sqlite3.connect":
            self._on_sqlite(_text(arguments[0]))

    def _on_connect(self, connection: Any, address: Any) -> None:
        if address is None or getattr(connection, "family", None) == getattr(socket, "AF_NETLINK", -1):
            return
        if isinstance(address, tuple) and len(address) >= 2:
            self._check(str(address[0]), int(address[1]))
        else:
            self._block(_text(address))

    def _on_sqlite(self, path: str) -> None:
        if path in ("", ":memory:") or path.startswith("file::memory:"):
            return
        plain = path.removeprefix("file:").partition("?")[0] if path.startswith("file:") else path
        if os.path.realpath(plain) not in self._files:
            self._block(f"the SQLite file {plain}")

    def _check(self, host: str, port: int) -> None:
        if (host, port) not in self._allow and (host, port) not in self._addresses():
            self._block(f"{host}:{port}")

    def _addresses(self) -> set[tuple[str, int]]:
        """The addresses of what is allowed: a job connects to those after a lookup."""
        found: set[tuple[str, int]] = set()
        for host, port in self._allow:
            try:
                found |= {(str(one[4][0]), port) for one in socket.getaddrinfo(host, port)}
            except OSError:
                continue
        return found

    def _is_allowed_host(self, host: str) -> bool:
        return any(host == allowed for allowed, _ in self._allow)

    def _block(self, target: str) -> None:
        if target not in self.blocked:
            self.blocked.append(target)
        raise ConnectionBlocked(f"A shadow run does not connect to {target}. Allow it with --allow HOST:PORT.")


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _filter_connects() -> bool:
    """Let the kernel refuse ``connect`` to this process and its children; returns whether it does."""
    machine = _CALLS.get(platform.machine())
    if sys.platform != "linux" or machine is None:
        return False
    architecture, connect = machine
    steps = (
        (_LOAD, 0, 0, 4),
        (_JUMP_IF_EQUAL, 0, 3, architecture),
        (_LOAD, 0, 0, 0),
        (_JUMP_IF_EQUAL, 0, 1, connect),
        (_RETURN, 0, 0, _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in steps), len(steps) * 8)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))

    program = Program(len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return bool(libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(program)) == 0)
