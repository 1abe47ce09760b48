"""Removes credentials from URLs before logs, errors, health responses and ``config show`` show them."""

from __future__ import annotations

import re

HIDDEN = "***"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}")
_HOST = r"(?:\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[\w.%-]+)(?::\d{1,5})?"
_ADDRESS = re.compile(rf"(?:{_HOST}(?:,{_HOST})*)?(?:/[^?#@]*)?", re.ASCII)
"""Hosts, each perhaps with a port, and a path. Any other text may be part of a password."""
_FILE = "sqlite"


def redact_url(url: str, *, hidden: str = HIDDEN) -> str:
    """``url`` in a form that may be shown: its scheme, hosts, ports and path.

    Everything between the scheme and the host is hidden, including the user's name (it may be a token), and so is the
    query. Of a URL that cannot be split into these parts only the scheme is shown.

    >>> redact_url("postgresql://app:s3cret@db:5432/shop?sslmode=require")
    'postgresql://***@db:5432/shop?***'
    """
    scheme, separator, rest = url.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        return hidden
    if scheme.partition("+")[0].lower() == _FILE and rest.startswith("/"):
        # A file URL has no credentials, and its path may contain an @.
        path, query, _ = rest.partition("?")
        return f"{scheme}://{path}" + (f"?{hidden}" if query else "")
    # The last @ ends the credentials: an earlier one is part of a password that was not escaped.
    credentials, at, address = rest.rpartition("@")
    place, query, _ = address.partition("?")
    # An @ after ? may end a password with ? in it, or be part of the query, so the position of the host is unknown.
    is_plain = _ADDRESS.fullmatch(place) and not set("?#") & set(credentials)
    if not is_plain:
        return f"{scheme}://{hidden}"
    return f"{scheme}://" + (f"{hidden}@" if at else "") + place + (f"?{hidden}" if query else "")


def mask(text: str, secret: str | None) -> str:
    """``text``, written by a driver or server, without ``secret``."""
    return text.replace(secret, HIDDEN) if secret else text
