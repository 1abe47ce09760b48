"""Waits until a socket has something to read, on Windows too."""

from __future__ import annotations

import select


def is_readable(descriptor: int, milliseconds: float) -> bool:
    """Whether a socket has something to read or has ended. It waits for that for at most ``milliseconds``."""
    if not hasattr(select, "poll"):
        # Windows, and applications that eventlet has patched. Elsewhere it refuses descriptors above 1,024.
        return bool(select.select([descriptor], [], [], milliseconds / 1000)[0])
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(milliseconds))
