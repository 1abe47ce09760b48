"""Valid names for schedules, queues, kinds, users and tokens, so that a URL can contain them.

Kinds, queues and users have stricter rules (``jobs.definition.options``, ``jobs.operations.access.users``).
"""

from __future__ import annotations

MAX_NAME = 200
WANTED = "printable characters, no blanks around, no /, and not . or .."


def is_name(value: object, *, longest: int = MAX_NAME) -> bool:
    """Whether it is a valid name. A slash separates parts of a path, and browsers remove ``.`` and ``..`` from it."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= longest
        and value.isprintable()
        and value == value.strip()
        and "/" not in value
        and value not in (".", "..")
    )
