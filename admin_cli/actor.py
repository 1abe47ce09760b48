"""Who acts: the name that the audit keeps."""

from __future__ import annotations

import getpass
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.operations.operator import Operator


def this_operator() -> Operator:
    """The person at this terminal, who may do everything: ``JOBS_ACTOR``, else the OS user and host."""
    from jobs.operations.operator import MAX_NAME, Operator

    return Operator((os.environ.get("JOBS_ACTOR", "").strip() or _user_and_host())[:MAX_NAME])


def _user_and_host() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
