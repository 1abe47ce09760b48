"""Lets a function refuse new connections to PostgreSQL: the driver's library connects without Python's sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

Check = Callable[[str, int], None]
"""Takes host and port; raises to refuse."""


def check_connections(check: Check) -> None:
    """Call ``check`` before each new connection of psycopg in this process, for as long as it lives."""
    for cls in (psycopg.Connection, psycopg.AsyncConnection):
        _wrap(cls, check)


def _wrap(cls: Any, check: Check) -> None:
    connect = cls.connect.__func__

    def checked(this: Any, /, conninfo: str = "", **options: Any) -> Any:
        given = {
            **conninfo_to_dict(conninfo),
            **{name: one for name, one in options.items() if isinstance(one, str | int)},
        }
        hosts = str(given.get("host") or given.get("hostaddr") or "localhost").split(",")
        ports = str(given.get("port") or "5432").split(",")
        for number, host in enumerate(hosts):
            check(host, int(ports[number] if number < len(ports) else ports[0]))
        return connect(this, conninfo, **options)

    cls.connect = classmethod(checked)
