"""The name of the operator that audit entries record."""

from __future__ import annotations

import getpass
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.operations.audit.operator import Operator


def this_operator() -> Operator:
    """The person at this terminal, who may do everything: ``JOBS_ACTOR``, else the OS user and host."""
    from jobs.operations.audit.operator import MAX_NAME, Operator

    return Operator(_storable(os.environ.get("JOBS_ACTOR", "").strip() or _user_and_host())[:MAX_NAME])


def _storable(name: str) -> str:
    """What the environment holds may be no UTF-8, and then no database takes it: such bytes are shown as ``\\xff``."""
    return os.fsencode(name).decode("utf-8", errors="backslashreplace").replace("\0", "")


def _user_and_host() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        # Windows has neither names nor numbers of users where Python looks for them.
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return f"{user}@{socket.gethostname()}"
