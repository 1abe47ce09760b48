"""Recognises secrets by the names of fields and by the form of text; it cannot recognise all of them."""

from __future__ import annotations

import re

from jobs.formats.redact import redact_url

_NAMES = re.compile(
    r"pass(word|wd|phrase)?$|pwd|secret|token|api_?key|access_?key|private|credential|authori[sz]ation|auth$|cookie"
    r"|session|csrf|signature|dsn|card|cvc|cvv|iban|ssn|pin$|otp|email|phone|address|birth",
    re.IGNORECASE,
)
_URL_WITH_CREDENTIALS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s@]*@\S*")
_TOKENS = re.compile(r"\b(eyJ[\w-]+\.[\w-]+\.[\w-]*|(?:sk|pk|ghp|gho|xox[abp])[-_][\w-]{10,}|AKIA[0-9A-Z]{16})")
_CARD = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")


def is_secret_name(name: str) -> bool:
    """Whether a field of this name probably holds a secret or personal data."""
    return _NAMES.search(name) is not None


def hide_secrets(text: str, hidden: str) -> str:
    """``text`` with ``hidden`` in place of credentials in URLs, tokens, keys and numbers of cards."""
    clean = _URL_WITH_CREDENTIALS.sub(lambda found: redact_url(found[0], hidden=hidden), text)
    return _CARD.sub(hidden, _TOKENS.sub(hidden, clean))
