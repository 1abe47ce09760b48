"""Breakers: list, show and release them."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from fastapi import APIRouter, Query

from admin_api.http.access import By
from admin_api.http.envelope import Envelope
from admin_api.http.paging import Paging, page
from admin_api.http.route import Route
from admin_api.http.state import Ledger
from admin_api.shapes.breakers import Breaker, BreakerDetail, Release, Released
from jobs.operations.control import breakers

router = APIRouter(prefix="/v1", route_class=Route)
BREAKERS: list[str | Enum] = ["breakers"]


@router.get("/breakers", summary="List breakers", tags=BREAKERS)
def list_breakers(app: Ledger, by: By, paging: Annotated[Paging, Query()]) -> Envelope[list[Breaker]]:
    """The breakers that workers have declared, sorted by name."""
    found = [one for one in breakers.list_breakers(app, by) if one.name > (paging.after_text or "")]
    return page(found, paging, Breaker.model_validate, place=lambda one: one.name)


@router.get("/breakers/{name}", summary="Show a breaker", tags=BREAKERS)
def read_breaker(app: Ledger, by: By, name: str) -> Envelope[BreakerDetail]:
    return Envelope(data=BreakerDetail.whole(*breakers.show_breaker(app, by, name)))


@router.post("/breakers/{name}/release", summary="Release a breaker", tags=BREAKERS)
def release_breaker(app: Ledger, by: By, name: str, body: Release) -> Envelope[Released]:
    """`name` may also be the fingerprint of a failure: then every breaker that it opened is released. 409 if none is
    open. With `canary`, it closes once so many runs have succeeded, and the first failure opens it again.
    """
    count, ready = breakers.release(app, by, name, key=body.key, canary=body.canary, reason=body.reason)
    return Envelope(data=Released(breakers=count, ready=ready))
