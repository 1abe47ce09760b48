"""Stored values: lists them, and shows one with the runs that refer to it; never their content."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from admin_api.http.state import CurrentState
from admin_api.pages.frame.cacheable import cacheable
from admin_api.pages.frame.page_auth import Visitor
from admin_api.pages.frame.render import page
from admin_api.pages.frame.router import page_router
from jobs.operations.runs.inspect import state_word
from jobs.operations.stored.inspect import MOST_RUNS, list_stored, show_stored, stored_id

router = page_router()
A_PAGE = 50


@router.get("/stored")
@cacheable
def show_values(request: Request, api_state: CurrentState, visitor: Visitor, before: str = "") -> Response:
    app, operator = api_state.app, visitor.operator
    last = stored_id(app, operator, before) if before else None
    found = list_stored(app, operator, before=last, limit=A_PAGE + 1)
    return page(
        request, "stored.html", identity=visitor, values=found[:A_PAGE], is_first=last is None,
        next_before=found[A_PAGE - 1].id if len(found) > A_PAGE else None,
    )  # fmt: skip


@router.get("/stored/{text}")
@cacheable
def show_value(request: Request, api_state: CurrentState, visitor: Visitor, text: str) -> Response:
    app = api_state.app
    seen = show_stored(app, visitor.operator, text)
    if text != str(seen.blob.id):
        return RedirectResponse(f"/stored/{seen.blob.id}", 303)
    now = app.clock.now()
    return page(
        request, "stored_value.html", identity=visitor, seen=seen, blob=seen.blob,
        runs=[(run, state_word(run, now=now)) for run in seen.runs],
        is_cut=len(seen.runs) + seen.followups >= MOST_RUNS,
    )  # fmt: skip
