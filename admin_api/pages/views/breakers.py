"""A breaker with its open keys, and its release. The page of limits lists breakers."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from admin_api.http.state import CurrentState, Ledger
from admin_api.pages.frame.cacheable import cacheable
from admin_api.pages.frame.page_auth import Form, Visitor
from admin_api.pages.frame.render import page, part
from admin_api.pages.frame.router import page_router
from admin_api.pages.frame.run_query import term
from admin_api.pages.views.limits import number, where_parked, whole_keys
from jobs.operations.audit.operator import Permission
from jobs.operations.control import breakers

router = page_router()


@router.get("/breakers/{name:path}/release")
def ask_release(request: Request, app: Ledger, visitor: Visitor, name: str) -> Response:
    """Asks how many canaries go first, and for a reason."""
    visitor.operator.need(Permission.QUEUES_WRITE)
    breaker, keys = breakers.show_breaker(app, visitor.operator, name)
    return page(
        request, "breaker_release.html", identity=visitor, breaker=breaker, keys=whole_keys(keys), refreshes=False
    )


@router.post("/breakers/{name:path}/release")
def release(app: Ledger, visitor: Visitor, name: str, form: Form) -> Response:
    """An empty number of canaries releases all parked runs."""
    reason = str(form.get("reason", "")).strip() or None
    key, canary = str(form.get("key", "")) or None, number(str(form.get("canary", "")))
    breakers.release(app, visitor.operator, name, key=key, canary=canary, reason=reason)
    return RedirectResponse(f"/breakers/{part(name)}", 303)


@router.get("/breakers/{name:path}")
@cacheable
def show_breaker(request: Request, api_state: CurrentState, visitor: Visitor, name: str) -> Response:
    breaker, keys = breakers.show_breaker(api_state.app, visitor.operator, name)
    where = where_parked(name, on=("breaker",))
    failed = term("fingerprint", breaker.fingerprint) if breaker.fingerprint else None
    return page(request, "breaker.html", identity=visitor, breaker=breaker, keys=keys, where=where, failed=failed)
