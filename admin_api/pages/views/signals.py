"""Answers a run that waits for a signal: a form with the payload."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from admin_api.http.state import Ledger
from admin_api.pages.frame.page_auth import Form, Visitor
from admin_api.pages.frame.render import page
from admin_api.pages.frame.router import page_router
from jobs.errors import ArgumentsRefused
from jobs.operations.audit.operator import Permission
from jobs.operations.runs import inspect
from jobs.operations.runs.signal import signal_run

router = page_router()


@router.get("/signals/new")
def ask_signal(request: Request, app: Ledger, visitor: Visitor, run: str, name: str) -> Response:
    visitor.operator.need(Permission.RUNS_SIGNAL)
    found = inspect.look_at(app, visitor.operator, run)
    return page(request, "signal.html", identity=visitor, run=found, name=name, refreshes=False)


@router.post("/signals")
def send(app: Ledger, visitor: Visitor, form: Form) -> Response:
    reason = str(form.get("reason", "")).strip() or None
    run = str(form.get("run", ""))
    name = str(form.get("name", "")).strip()
    sent = signal_run(app, visitor.operator, run, name, _payload(str(form.get("payload", ""))), reason=reason)
    return RedirectResponse(f"/runs/{sent.id}", 303)


def _payload(text: str) -> Any:
    """The JSON that a person typed. Plain text that does not look like JSON is text."""
    said = text.strip()
    if not said:
        return None
    try:
        return json.loads(said)
    except (ValueError, RecursionError) as error:
        if said[0] in '[{"':
            raise ArgumentsRefused(f"The payload is not JSON: {str(error)[:200]}.", hint="Mend it.") from None
        return said
