"""Masks arguments that look like secrets, by name and by form; it cannot recognise all of them."""

from __future__ import annotations

from typing import Any

from jobs.formats.secrets import hide_secrets, is_secret_name

FILTERED = "[Filtered]"
MAX_TEXT, MAX_ITEMS, MAX_DEPTH = 200, 50, 6
"""Limits of long values. Source: decision; enough to recognise the run."""


def scrub(value: Any, *, depth: int = 0) -> Any:
    """A copy of JSON data with secrets replaced and long values cut.

    >>> scrub({"order": 7, "card_number": "4111", "url": "https://u:p@host/"})
    {'order': 7, 'card_number': '[Filtered]', 'url': 'https://[Filtered]@host/'}
    """
    if depth > MAX_DEPTH:
        return FILTERED
    if isinstance(value, dict):
        return {
            str(name)[:MAX_TEXT]: FILTERED if is_secret_name(str(name)) else scrub(one, depth=depth + 1)
            for name, one in list(value.items())[:MAX_ITEMS]
        }
    if isinstance(value, list):
        return [scrub(one, depth=depth + 1) for one in value[:MAX_ITEMS]]
    if isinstance(value, str):
        return _scrub_text(value)
    return value


def _scrub_text(text: str) -> str:
    clean = hide_secrets(text, FILTERED)
    return clean if len(clean) <= MAX_TEXT else clean[:MAX_TEXT] + "…"
