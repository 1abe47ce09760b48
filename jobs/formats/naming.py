"""Which names a schedule, queue, kind, user or token can have, so that a URL can hold them.

Kinds, queues and users are narrower still (``jobs.definition.options``, ``jobs.operations.access.users``); nothing
is wider.
"""

from __future__ import annotations

MAX_NAME = 200
WANTED = "printable characters, no blanks around, no /, and not . or .."


def is_name(value: object, *, longest: int = MAX_NAME) -> bool:
    """Whether it can be a name. A slash ends a part of an address, and browsers take ``.`` and ``..`` out of one."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= longest
        and value.isprintable()
        and value == value.strip()
        and "/" not in value
        and value not in (".", "..")
    )
