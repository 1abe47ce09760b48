"""Limits of how many runs perform at once, and rates of how many start: list, show, set and clear them."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Annotated

from fastapi import APIRouter, Query, Response

from admin_api.http.access import By
from admin_api.http.envelope import Envelope
from admin_api.http.paging import Paging, page
from admin_api.http.route import Route
from admin_api.http.state import Ledger
from admin_api.shapes.base import Because
from admin_api.shapes.limits import Limit, LimitDetail, NewLimit
from jobs.operations.control import limits

router = APIRouter(prefix="/v1", route_class=Route)
LIMITS: list[str | Enum] = ["limits"]
KEY = Query(min_length=1, max_length=1000, description="Only what is set for this key.")


@router.get("/limits", summary="List limits", tags=LIMITS)
def list_limits(app: Ledger, by: By, paging: Annotated[Paging, Query()]) -> Envelope[list[Limit]]:
    """The limits that workers have declared, sorted by name."""
    found = [one for one in limits.list_limits(app, by) if one.name > (paging.after_text or "")]
    return page(found, paging, Limit.model_validate, place=lambda one: one.name)


@router.get("/limits/{name}", summary="Show a limit", tags=LIMITS)
def read_limit(app: Ledger, by: By, name: str) -> Envelope[LimitDetail]:
    return Envelope(data=LimitDetail.whole(*limits.show_limit(app, by, name)))


@router.put("/limits/{name}", summary="Set a limit", tags=LIMITS)
def set_limit(app: Ledger, by: By, name: str, body: NewLimit) -> Envelope[Limit]:
    """In force at once. It wins over what the code declares until it is cleared."""
    hold = None if body.hold_seconds is None else timedelta(seconds=body.hold_seconds)
    done = limits.set_limit(app, by, name, key=body.key, most=body.most, rate=body.rate, hold=hold, reason=body.reason)
    return Envelope(data=Limit.model_validate(done))


@router.delete("/limits/{name}", summary="Clear a limit", status_code=204, tags=LIMITS)
def clear_limit(
    app: Ledger,
    by: By,
    name: str,
    because: Annotated[Because, Query()],
    key: Annotated[str | None, KEY] = None,
) -> Response:
    """What the code declares is in force again. 409 if nothing is set."""
    limits.clear_limit(app, by, name, key=key, reason=because.reason)
    return Response(status_code=204)
