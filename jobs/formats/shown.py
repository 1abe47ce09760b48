"""``repr`` of any value for a message."""

from __future__ import annotations

from typing import Any

MAX_SHOWN = 80
"""Most characters of a value that a message repeats."""


def shown(value: Any) -> str:
    """``repr`` of a value for a message: on one line, shortened, and safe for every value."""
    try:
        text = repr(value)
    except Exception as error:  # A number of 5,000 digits, or an error of the value's own __repr__.
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
    text = "".join(
        one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode() for one in text
    )
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
