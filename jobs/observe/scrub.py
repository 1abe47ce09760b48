"""Masks arguments that look like secrets, by name and by form; it cannot recognise all of them."""

from __future__ import annotations

import re
from typing import Any

from jobs.formats.redact import redact_url

FILTERED = "[Filtered]"
MAX_TEXT, MAX_ITEMS, MAX_DEPTH = 200, 50, 6
"""Limits of long values. Source: decision; enough to recognise the run."""

_NAMES = re.compile(
    r"pass(word|wd|phrase)?$|pwd|secret|token|api_?key|access_?key|private|credential|authori[sz]ation|auth$|cookie"
    r"|session|csrf|signature|dsn|card|cvc|cvv|iban|ssn|pin$|otp|email|phone|address|birth",
    re.IGNORECASE,
)
_URL_WITH_CREDENTIALS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s@]*@\S*")
_TOKENS = re.compile(r"\b(eyJ[\w-]+\.[\w-]+\.[\w-]*|(?:sk|pk|ghp|gho|xox[abp])[-_][\w-]{10,}|AKIA[0-9A-Z]{16})")
_CARD = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")


def scrub(value: Any, *, depth: int = 0) -> Any:
    """A copy of JSON data with secrets replaced and long values cut.

    >>> scrub({"order": 7, "card_number": "4111", "url": "https://u:p@host/"})
    {'order': 7, 'card_number': '[Filtered]', 'url': 'https://[Filtered]@host/'}
    """
    if depth > MAX_DEPTH:
        return FILTERED
    if isinstance(value, dict):
        return {
            str(name)[:MAX_TEXT]: FILTERED if _NAMES.search(str(name)) else scrub(one, depth=depth + 1)
            for name, one in list(value.items())[:MAX_ITEMS]
        }
    if isinstance(value, list):
        return [scrub(one, depth=depth + 1) for one in value[:MAX_ITEMS]]
    if isinstance(value, str):
        return _scrub_text(value)
    return value


def _scrub_text(text: str) -> str:
    clean = _URL_WITH_CREDENTIALS.sub(lambda found: redact_url(found[0], hidden=FILTERED), text)
    clean = _CARD.sub(FILTERED, _TOKENS.sub(FILTERED, clean))
    return clean if len(clean) <= MAX_TEXT else clean[:MAX_TEXT] + "…"
