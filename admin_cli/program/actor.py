"""The name of the operator that audit entries record."""

from __future__ import annotations

import getpass
import os
import socket
from typing import TYPE_CHECKING

import click

from admin_cli.program.bundle import READER
from admin_cli.program.options import Globals

if TYPE_CHECKING:
    from jobs.operations.audit.operator import Operator


def this_operator() -> Operator:
    """The operator at this terminal, with every permission: ``JOBS_ACTOR``, else the OS user and host.

    Of a bundle: its reader, who may change nothing.
    """
    from jobs.operations.audit.operator import MAX_NAME, READS, Operator

    context = click.get_current_context(silent=True)
    given = context.find_object(Globals) if context is not None else None
    if given is not None and given.bundle is not None:
        return Operator(READER, READS)
    return Operator(_storable(os.environ.get("JOBS_ACTOR", "").strip() or _user_and_host())[:MAX_NAME])


def _storable(name: str) -> str:
    """The environment may hold bytes that are not UTF-8, which no database stores: they become ``\\xff``."""
    return os.fsencode(name).decode("utf-8", errors="backslashreplace").replace("\0", "")


def _user_and_host() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        # On Windows, Python finds neither the name nor the number of the user.
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return f"{user}@{socket.gethostname()}"
