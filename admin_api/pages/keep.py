"""Keep: the mark of a handler whose page is kept for a moment."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from functools import wraps
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from admin_api.house import House
from admin_api.pages.render import address_of, is_part, theme_of
from jobs.operations.sign_in import Identity


def keep(handler: Callable[..., Response]) -> Callable[..., Coroutine[Any, Any, Response]]:
    """Show the page as it was a moment ago, if it was. What it shows must follow from its address, from what its reader
    may see, and from the ledger alone."""

    # Async: what is kept is found at once, and needs no thread.
    @wraps(handler)
    async def show(request: Request, house: House, visitor: Identity, **given: Any) -> Response:
        key = _key(request, visitor)
        found = house.kept.find(key)
        if found is None:
            begun = house.kept.begin()
            found = await run_in_threadpool(handler, request, house, visitor, **given)
            house.kept.put(key, found, begun)
        return found

    return show


def _key(request: Request, visitor: Identity) -> Hashable:
    """Everything that the page follows from. The part that a refresh brings names nobody, so that all share it."""
    reader = None if is_part(request) else (visitor.operator.name, theme_of(request))
    return address_of(request), visitor.operator.permissions, reader
