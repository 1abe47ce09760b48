"""Dead letters and errors by fingerprint: what an operator decides about at once."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from admin_api.house import Ledger
from admin_api.pages.asking import terms
from admin_api.pages.door import Visitor
from admin_api.pages.render import link, page
from jobs.operations import letters
from jobs.operations.selector import read_moment

router = APIRouter()
MOST = 100
SPANS = (("1h", "hour"), ("1d", "day"), ("7d", "week"))


@router.get("/dead")
def show_dead(request: Request, app: Ledger, visitor: Visitor, since: str | None = None) -> Response:
    moment = read_moment(since, what="since", now=app.clock.now()) if since else None
    groups = letters.dead_groups(app, visitor.operator, since=moment, limit=MOST)
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
def show_errors(request: Request, app: Ledger, visitor: Visitor, since: str = "1d") -> Response:
    moment = read_moment(since, what="since", now=app.clock.now())
    groups = letters.error_groups(app, visitor.operator, since=moment, limit=MOST)
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


def _where(kind: str, cause: Any, fingerprint: str | None) -> str:
    """The runs of a group, in the query language."""
    if fingerprint:
        return f"fingerprint:{fingerprint} {terms({'kind': kind})}"
    return terms({"kind": kind, "cause": cause})
