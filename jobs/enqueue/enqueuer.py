"""Who enqueues: host and process, for the record. It loads no database code."""

from __future__ import annotations

import os
import socket
from functools import cache


@cache
def enqueuer() -> str:
    """Host and process that enqueue."""
    return f"{socket.gethostname()}/{os.getpid()}"[:200]


if hasattr(os, "register_at_fork"):  # Not on Windows.
    os.register_at_fork(after_in_child=enqueuer.cache_clear)
