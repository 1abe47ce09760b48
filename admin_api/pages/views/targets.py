"""Targets of queues and kinds: lists them with their error budgets, sets and clears them."""

from __future__ import annotations

from fastapi import HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from admin_api.http.state import CurrentState, Ledger
from admin_api.pages.frame.cacheable import cacheable
from admin_api.pages.frame.form_values import parsed_if_given
from admin_api.pages.frame.page_auth import Form, Visitor
from admin_api.pages.frame.render import page
from admin_api.pages.frame.router import page_router
from admin_api.pages.frame.run_query import term
from jobs.formats.duration import parse_duration
from jobs.formats.percent import parse_percent
from jobs.operations.control import targets
from jobs.operations.insight.queues import look_at
from jobs.operations.insight.targets import find_target
from jobs.targets.burn import WINDOWS

router = page_router()
MOST = 500
BACK = {"queue": "/queues", "kind": "/kinds"}


@router.get("/targets")
@cacheable
def show_targets(request: Request, api_state: CurrentState, visitor: Visitor) -> Response:
    """Those whose budget burns first, then by what is left."""
    found = api_state.reports.targets(visitor.operator)
    worst = sorted(found, key=lambda one: (not one.is_burning, one.budget.left if one.budget else 2.0, one.name))
    return page(
        request,
        "targets.html",
        identity=visitor,
        targets=[(one, term(one.what, one.name)) for one in worst[:MOST]],
        windows=[one for one in WINDOWS if one != "28d"],
        left_out=max(0, len(worst) - MOST),
    )


@router.get("/targets/new")
def ask_target(request: Request, app: Ledger, visitor: Visitor, name: str, what: str = "queue") -> Response:
    """Asks for a latency, a share of successes and a reason."""
    _check(what)
    usual = look_at(app, visitor.operator, name).target_seconds if what == "queue" else None
    seen = find_target(app, visitor.operator, what, name)
    return page(
        request, "target.html", identity=visitor, target=seen, usual=usual, back=BACK[what], refreshes=False
    )  # fmt: skip


@router.post("/targets")
def set_or_clear_target(app: Ledger, visitor: Visitor, form: Form) -> Response:
    """Without a latency and a share of successes, the target is cleared."""
    name, what = str(form.get("name")), str(form.get("what") or "queue")
    _check(what)
    reason = str(form.get("reason", "")).strip() or None
    latency = parsed_if_given(parse_duration, form.get("latency"))
    success = parsed_if_given(parse_percent, form.get("success"))
    if latency is None and success is None:
        targets.clear_target(app, visitor.operator, name, what=what, reason=reason)
    else:
        targets.set_target(
            app, visitor.operator, name, what=what, latency=latency, success=success, reason=reason
        )  # fmt: skip
    return RedirectResponse(BACK[what], 303)


def _check(what: str) -> None:
    if what not in BACK:
        raise HTTPException(404)
