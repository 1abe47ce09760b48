"""Keep: the mark of a handler whose page is kept for a moment; ``Front`` shows what is kept."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from admin_api.house import House
from admin_api.pages.render import address_of, is_part, theme_of
from jobs.operations.sign_in import Identity


def keep(handler: Callable[..., Response]) -> Callable[..., Response]:
    """Keep what the handler makes. It must follow from its address, from what its reader may see, and from the ledger
    alone."""

    @wraps(handler)
    def make(request: Request, house: House, visitor: Identity, **given: Any) -> Response:
        begun = house.kept.begin()
        made = handler(request, house, visitor, **given)
        house.kept.put(key_of(request, visitor), made, begun, request.scope.get("route"))
        return made

    return make


def key_of(request: Request, visitor: Identity) -> Hashable:
    """Everything that the page follows from. The part that a refresh brings names nobody, so that all share it."""
    reader = None if is_part(request) else (visitor.operator.name, theme_of(request))
    return address_of(request), visitor.operator.permissions, reader
