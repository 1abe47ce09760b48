"""Parses the URL of a Redis server."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from redis.connection import parse_url

from jobs.errors import ConfigurationError
from jobs.formats.redact import redact_url

_SCHEMES = ("redis", "rediss", "unix")
_FORMS = "Write redis://, rediss:// (TLS) or unix://, for example redis://user:password@host:6379/0."


def connection_options(url: str) -> dict[str, Any]:
    """The options for redis-py to connect to ``url``.

    Raises:
        ConfigurationError: not a URL of one Redis server. Sentinel and Cluster are not supported.
    """
    scheme = url.partition("://")[0].lower()
    if "sentinel" in scheme or "cluster" in scheme:
        name = "Sentinel" if "sentinel" in scheme else "Cluster"
        raise ConfigurationError(
            f"{redact_url(url)} asks for Redis {name}, which is not supported.",
            hint="Name one server, or a proxy or service address that leads to the present primary.",
        )
    if scheme not in _SCHEMES:
        raise ConfigurationError(f"{redact_url(url)!r} is not the URL of a Redis server.", hint=_FORMS)
    if scheme != "unix" and "," in url.rpartition("@")[2].partition("?")[0]:
        raise ConfigurationError(
            f"{redact_url(url)} names several servers; Redis Sentinel and Cluster are not supported.",
            hint="Name one server, or a proxy or service address that leads to the present primary.",
        )
    try:
        parts = urlsplit(url)
        if "@" in parts.query + parts.fragment:
            raise ValueError("a password that ends after ? or #")
        options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    except ValueError:
        # Not `from err`: the parser's message quotes the unreadable text, which may be a password.
        hint = f"{_FORMS} In a password, write / as %2F, # as %23, ? as %3F and @ as %40."
        raise ConfigurationError(f"{redact_url(url)!r} cannot be read as a URL.", hint=hint) from None
    if scheme == "unix" and not options.get("path"):
        raise ConfigurationError(f"{redact_url(url)!r} names no socket.", hint="Write unix:///path/to/socket.")
    if scheme != "unix" and (not parts.hostname or not re.fullmatch(r"/?\d*", parts.path)):
        raise ConfigurationError(f"{redact_url(url)!r} lacks a host, or its database is not a number.", hint=_FORMS)
    return options
