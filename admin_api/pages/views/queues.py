"""Queues: lists, pauses and resumes them, and sets their targets."""

from __future__ import annotations

from datetime import timedelta

from fastapi import HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from admin_api.http.state import CurrentState, Ledger
from admin_api.pages.frame.cacheable import cacheable
from admin_api.pages.frame.page_auth import Form, Visitor, local_path
from admin_api.pages.frame.render import page
from admin_api.pages.frame.router import page_router
from admin_api.pages.frame.run_query import term
from jobs.formats.duration import parse_duration
from jobs.operations.control import pause as pausing
from jobs.operations.control import targets, waiting_limits
from jobs.operations.insight.queues import look_at

router = page_router()
MOST = 200


@router.get("/queues")
@cacheable
def show_queues(request: Request, api_state: CurrentState, visitor: Visitor, after: str = "") -> Response:
    found = [one for one in api_state.reports.queues(visitor.operator) if one.name > after][:MOST]
    return page(
        request,
        "queues.html",
        identity=visitor,
        queues=[(one, term("queue", one.name)) for one in found],
        following=found[-1].name if len(found) == MOST else None,
    )


@router.get("/pauses/new")
def ask_pause(request: Request, app: Ledger, visitor: Visitor, what: str, name: str, verb: str = "pause") -> Response:
    """Asks for a reason and a duration."""
    _check(what, verb)
    back = "/queues" if what == "queue" else "/kinds"
    return page(request, "pause.html", identity=visitor, what=what, name=name, verb=verb, back=back, refreshes=False)


@router.post("/pauses")
def pause_or_resume(app: Ledger, visitor: Visitor, form: Form) -> Response:
    what, name, verb = str(form.get("what")), str(form.get("name")), str(form.get("verb"))
    _check(what, verb)
    reason = str(form.get("reason", "")).strip() or None
    if verb == "pause":
        pausing.pause(app, visitor.operator, what, name, reason=reason, span=_span(str(form.get("for", "")).strip()))
    else:
        pausing.resume(app, visitor.operator, what, name, reason=reason)
    return RedirectResponse(local_path(str(form.get("back", "/queues"))), 303)


@router.get("/targets/new")
def ask_target(request: Request, app: Ledger, visitor: Visitor, name: str) -> Response:
    """Asks for a latency and a reason."""
    seen = look_at(app, visitor.operator, name)
    return page(request, "target.html", identity=visitor, queue=seen, refreshes=False)


@router.post("/targets")
def set_or_clear_target(app: Ledger, visitor: Visitor, form: Form) -> Response:
    """An empty latency clears the target."""
    name, reason = str(form.get("name")), str(form.get("reason", "")).strip() or None
    latency = _span(str(form.get("latency", "")).strip())
    if latency is None:
        targets.clear_target(app, visitor.operator, name, reason=reason)
    else:
        targets.set_target(app, visitor.operator, name, latency=latency, reason=reason)
    return RedirectResponse("/queues", 303)


@router.get("/waiting-limits/new")
def ask_waiting_limit(request: Request, app: Ledger, visitor: Visitor, name: str) -> Response:
    """Asks for a number and a reason."""
    seen = look_at(app, visitor.operator, name)
    return page(request, "waiting_limit.html", identity=visitor, queue=seen, refreshes=False)


@router.post("/waiting-limits")
def set_or_clear_waiting_limit(app: Ledger, visitor: Visitor, form: Form) -> Response:
    """An empty number removes the limit."""
    name, reason = str(form.get("name")), str(form.get("reason", "")).strip() or None
    text = str(form.get("most", "")).strip()
    if not text:
        waiting_limits.clear_waiting_limit(app, visitor.operator, name, reason=reason)
    elif text.isascii() and text.isdigit() and len(text) <= 10:
        waiting_limits.limit_waiting(app, visitor.operator, name, most=int(text), reason=reason)
    else:
        raise HTTPException(422, "How many runs may wait is a whole number from 1.")
    return RedirectResponse("/queues", 303)


def _check(what: str, verb: str) -> None:
    if what not in ("queue", "kind") or verb not in ("pause", "resume"):
        raise HTTPException(404)


def _span(text: str) -> timedelta | None:
    if not text:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise HTTPException(422, f"{error}.") from None
