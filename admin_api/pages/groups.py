"""Dead letters and errors by fingerprint: what an operator decides about at once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from admin_api.house import House, TheHouse
from admin_api.pages.asking import terms
from admin_api.pages.door import Visitor
from admin_api.pages.keep import keep
from admin_api.pages.render import link, page
from admin_api.pages.router import page_router
from jobs.operations.selector import read_moment

router = page_router()
MOST = 100
SPANS = (("1h", "hour"), ("1d", "day"), ("7d", "week"))


@router.get("/dead")
@keep
def show_dead(request: Request, house: TheHouse, visitor: Visitor, since: str | None = None) -> Response:
    moment = _moment(house, since) if since else None
    groups = house.figures.dead_groups(visitor.operator, since=moment, limit=MOST)
    return page(
        request,
        "dead.html",
        identity=visitor,
        groups=[(one, _where(one.kind, one.cause, one.fingerprint)) for one in groups],
        total=sum(one.count for one in groups),
        is_cut=len(groups) == MOST,
        since=since or "",
        spans=[("", "any time"), *SPANS],
    )


@router.get("/errors")
@keep
def show_errors(request: Request, house: TheHouse, visitor: Visitor, since: str = "1d") -> Response:
    moment = _moment(house, since)
    groups = house.figures.error_groups(visitor.operator, since=moment, limit=MOST)
    return page(
        request,
        "errors.html",
        identity=visitor,
        groups=[
            (one, link("/runs", where=f"fingerprint:{one.fingerprint}") if one.fingerprint else None) for one in groups
        ],
        is_cut=len(groups) == MOST,
        since=since,
        spans=SPANS,
    )


def _moment(house: House, since: str) -> datetime:
    """The moment that is meant, to ten seconds: figures are kept by it, and would never be found again."""
    now = house.app.clock.now()
    return read_moment(since, what="since", now=now.replace(second=now.second // 10 * 10, microsecond=0))


def _where(kind: str, cause: Any, fingerprint: str | None) -> str:
    """The runs of a group, in the query language."""
    if fingerprint:
        return f"fingerprint:{fingerprint} {terms({'kind': kind})}"
    return terms({"kind": kind, "cause": cause})
