"""Escapes control characters in text that came from data, for a terminal, for TSV columns and for pages.

Applications write kinds, error messages, tags and arguments. Terminals obey control characters in them, and browsers
obey bidi marks, so all text that we did not write ourselves must pass ``escape_controls`` before it is shown.
"""

from __future__ import annotations

import unicodedata

MAX_COMBINING = 4
"""Combining marks kept on one base character. Source: decision; written languages use up to three."""

_NAMED = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}

_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
"""Controls (C0, C1, ESC, DEL), formats (bidi overrides, zero-width), surrogates, unassigned, separators."""

_VARIATION_SELECTORS = frozenset("\ufe0e\ufe0f")


def escape_controls(text: str) -> str:
    """``text`` on one line, with everything that could act on a terminal shown as an escape (``\x1b``).

    Not reversible (a backslash stays as it is): programs that need the exact text read JSON.
    """
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    marks = 0
    for character in text:
        if character in _VARIATION_SELECTORS:
            # Invisible, and terminals disagree about whether the character before it becomes wide.
            continue
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        is_safe = category not in _UNSAFE_CATEGORIES and marks <= MAX_COMBINING
        shown.append(character if is_safe else _escape(character))
    return "".join(shown)


def escape_lines(text: str) -> list[str]:
    """``text`` as safe lines, for text that has several lines: tracebacks, indented JSON.

    Tabs become spaces. Only a newline separates lines; a lone carriage return is shown as an escape.
    """
    return [escape_controls(line.expandtabs(4)) for line in text.replace("\r\n", "\n").rstrip("\n").split("\n")]


def one_line(text: str) -> str:
    """A message of several lines as one: parts joined by ``; `` unless they already end in a full stop."""
    parts = [part.strip() for part in text.splitlines() if part.strip()]
    joined = ""
    for part in parts:
        joined += (" " if joined.endswith((".", ":", ";", ",", "!", "?")) else "; ") if joined else ""
        joined += part
    return escape_controls(joined)


def _escape(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    point = ord(character)
    if point <= 0xFF:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"
