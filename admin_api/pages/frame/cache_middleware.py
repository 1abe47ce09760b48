"""Cache middleware: identifies the visitor and answers from the page cache before any route runs.

Routing and dependencies would double the time of showing a cached page.
"""

from __future__ import annotations

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from admin_api.http.page_cache import CachedPage
from admin_api.http.state import ApiState
from admin_api.pages.frame.cacheable import key_of
from admin_api.pages.frame.page_auth import look
from jobs.errors import JobsError

_NOT_PAGES = ("/v1/", "/static/", "/healthz", "/readyz", "/metrics")


class CacheMiddleware:
    """Wraps the routes; stores the visitor in the request for ``page_auth.visitor``."""

    def __init__(self, inner: ASGIApp, api_state: ApiState) -> None:
        self._inner, self._api_state = inner, api_state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kept = None
        if scope["type"] == "http" and is_page_path(scope["path"]):
            kept = await self._find(Request(scope))
        if kept is None:
            await self._inner(scope, receive, send)
            return
        scope["route"] = kept.route
        await send({"type": "http.response.start", "status": 200, "headers": list(kept.headers)})
        await send({"type": "http.response.body", "body": kept.body})

    async def _find(self, request: Request) -> CachedPage | None:
        """The cached page for the visitor. A route that needs authentication reports any problem with it."""
        try:
            identity = await look(request, self._api_state)
        except JobsError as error:
            request.state.visitor = error
            return None
        request.state.visitor, request.state.operator = identity, identity.operator
        return self._api_state.page_cache.find(key_of(request, identity)) if request.method == "GET" else None


def is_page_path(path: str) -> bool:
    """Whether the address is that of a page."""
    return path != "/v1" and not path.startswith(_NOT_PAGES)
