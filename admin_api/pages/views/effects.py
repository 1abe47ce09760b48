"""Resolves an unknown effect of a run."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from admin_api.http.state import Ledger
from admin_api.pages.frame.page_auth import Form, Visitor
from admin_api.pages.frame.render import page
from admin_api.pages.frame.router import page_router
from jobs.app import App
from jobs.errors import JobsError
from jobs.operations.audit.operator import Permission
from jobs.operations.effects.resolve import resolve
from jobs.operations.runs.inspect import look_at

router = page_router()
ANSWERS = {"yes": True, "no": False}
MISTAKES = frozenset({"conflict", "selector_refused", "step_refused"})


@router.get("/runs/{run_id}/resolve")
def ask_resolution(request: Request, app: Ledger, visitor: Visitor, run_id: str, step: str) -> Response:
    """A form that asks whether the effect took place."""
    return _form(request, app, visitor, run_id, step, {})


@router.post("/runs/{run_id}/resolve")
def resolve_now(request: Request, app: Ledger, visitor: Visitor, run_id: str, form: Form) -> Response:
    given = {name: str(form.get(name, "")) for name in ("step", "answer", "result", "reason")}
    took_place = ANSWERS.get(given["answer"])
    if took_place is None:
        return _form(request, app, visitor, run_id, given["step"], given, problem="Say whether it took place.")
    value: Any = None
    try:
        # JSON, for the next attempt gets it as the value of once().
        value = json.loads(given["result"]) if took_place and given["result"].strip() else None
    except (ValueError, RecursionError):
        problem = "The result is not JSON. Write a text in quotes."
        return _form(request, app, visitor, run_id, given["step"], given, problem=problem)
    try:
        done = resolve(
            app, visitor.operator, run_id, given["step"], took_place=took_place, result=value,
            reason=given["reason"].strip() or None,
        )  # fmt: skip
    except JobsError as error:
        if error.code not in MISTAKES:
            raise
        return _form(request, app, visitor, run_id, given["step"], given, problem=str(error), status=409)
    return RedirectResponse(f"/runs/{done.run_id}", 303)


def _form(
    request: Request,
    app: App,
    visitor: Visitor,
    run_id: str,
    step: str,
    given: dict[str, str],
    *,
    problem: str | None = None,
    status: int = 422,
) -> Response:
    visitor.operator.need(Permission.RUNS_REPLAY)
    run = look_at(app, visitor.operator, run_id)
    return page(
        request, "resolve.html", identity=visitor, status=status if problem else 200, run=run, step=step,
        answer=given.get("answer", ""), result=given.get("result", ""),
        problem=problem, refreshes=False,
    )  # fmt: skip
