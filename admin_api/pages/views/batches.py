"""Batches: lists them with a bar each, and shows one with its members."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from admin_api.http.state import CurrentState
from admin_api.pages.frame.cacheable import cacheable
from admin_api.pages.frame.page_auth import Visitor
from admin_api.pages.frame.render import page
from admin_api.pages.frame.router import page_router
from jobs.operations.runs import batches, inspect
from jobs.operations.runs.selector import SelectorInput, make_selector

router = page_router()
A_PAGE = 50


@router.get("/batches")
@cacheable
def show_batches(request: Request, api_state: CurrentState, visitor: Visitor) -> Response:
    found = batches.list_batches(api_state.app, visitor.operator, limit=A_PAGE)
    return page(request, "batches.html", identity=visitor, batches=found.items, is_cut=found.next_after is not None)


@router.get("/batches/{text}")
@cacheable
def show_batch(request: Request, api_state: CurrentState, visitor: Visitor, text: str) -> Response:
    app, operator = api_state.app, visitor.operator
    seen = batches.show_batch(app, operator, text)
    if text != str(seen.batch.id):
        return RedirectResponse(f"/batches/{seen.batch.id}", 303)
    selector = make_selector(app, SelectorInput(batches=(str(seen.batch.id),)))
    members = inspect.list_runs(app, operator, selector, limit=A_PAGE)
    now = app.clock.now()
    return page(
        request, "batch.html", identity=visitor, seen=seen, batch=seen.batch,
        members=[(run, inspect.state_word(run, now=now)) for run in members.runs],
        is_cut=members.next_cursor is not None,
    )  # fmt: skip
