"""Pages of dead letters and errors, grouped by fingerprint."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from admin_api.http.state import ApiState, CurrentState
from admin_api.pages.frame.cacheable import cacheable
from admin_api.pages.frame.page_auth import Visitor
from admin_api.pages.frame.render import link, page
from admin_api.pages.frame.router import page_router
from admin_api.pages.frame.run_query import terms
from jobs.operations.runs.selector import read_moment

router = page_router()
MOST = 100
SPANS = (("1h", "hour"), ("1d", "day"), ("7d", "week"))


@router.get("/dead")
@cacheable
def show_dead(request: Request, api_state: CurrentState, visitor: Visitor, since: str | None = None) -> Response:
    moment = _moment(api_state, since) if since else None
    groups = api_state.reports.dead_groups(visitor.operator, since=moment, limit=MOST)
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
@cacheable
def show_errors(request: Request, api_state: CurrentState, visitor: Visitor, since: str = "1d") -> Response:
    moment = _moment(api_state, since)
    groups = api_state.reports.error_groups(visitor.operator, since=moment, limit=MOST)
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


def _moment(api_state: ApiState, since: str) -> datetime:
    """The moment, rounded to ten seconds: it is part of the cache key, which would otherwise never match again."""
    now = api_state.app.clock.now()
    return read_moment(since, what="since", now=now.replace(second=now.second // 10 * 10, microsecond=0))


def _where(kind: str, cause: Any, fingerprint: str | None) -> str:
    """The runs of a group, in the query language."""
    if fingerprint:
        return f"fingerprint:{fingerprint} {terms({'kind': kind})}"
    return terms({"kind": kind, "cause": cause})
