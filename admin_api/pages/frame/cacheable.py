"""``@cacheable``: marks a handler whose page the cache middleware may reuse for a moment."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from admin_api.http.state import ApiState
from admin_api.pages.frame.render import address_of, is_part, theme_of
from jobs.operations.access.sign_in import Identity


def cacheable(handler: Callable[..., Response]) -> Callable[..., Response]:
    """Cache the handler's page. It must depend only on its address, the visitor's permissions and the ledger."""

    @wraps(handler)
    def make(request: Request, api_state: ApiState, visitor: Identity, **given: Any) -> Response:
        begun = api_state.page_cache.begin()
        made = handler(request, api_state, visitor, **given)
        api_state.page_cache.put(key_of(request, visitor), made, begun, request.scope.get("route"))
        return made

    return make


def key_of(request: Request, visitor: Identity) -> Hashable:
    """The cache key. The part that a refresh loads names no user, so that visitors with equal permissions share it."""
    reader = None if is_part(request) else (visitor.operator.name, theme_of(request))
    return address_of(request), visitor.operator.permissions, reader
