"""Checks the Origin header: whether a request comes from a page of this site (scheme, host and port)."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request

from admin_api.http.state import api_state_of


def is_own(request: Request, origin: str) -> bool:
    """Whether ``origin``, as the browser sent it, is this site; behind TLS as https, whatever the proxy uses."""
    said = urlsplit(origin)
    scheme = "https" if api_state_of(request).app.settings.api_behind_tls else request.url.scheme
    return (said.scheme.lower(), said.netloc.lower()) == (scheme, request.headers.get("host", "").lower())
