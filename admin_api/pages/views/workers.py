"""Workers: lists the processes that perform runs, and replaces one."""

from __future__ import annotations

from itertools import groupby

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from admin_api.http.state import CurrentState, Ledger
from admin_api.pages.frame.cacheable import cacheable
from admin_api.pages.frame.page_auth import Form, Visitor
from admin_api.pages.frame.render import page
from admin_api.pages.frame.router import page_router
from jobs.operations.control import workers

router = page_router()


@router.get("/workers")
@cacheable
def show_workers(request: Request, api_state: CurrentState, visitor: Visitor) -> Response:
    live = sorted(workers.list_workers(api_state.app, visitor.operator), key=lambda one: (one.supervisor, one.name))
    return page(
        request,
        "workers.html",
        identity=visitor,
        supervisors=[(name, list(some)) for name, some in groupby(live, key=lambda one: one.supervisor)],
        threads=sum(one.threads for one in live),
        busy=sum(one.busy for one in live),
        count=len(live),
    )


@router.get("/stops/new")
def ask_stop(request: Request, app: Ledger, visitor: Visitor, name: str) -> Response:
    worker = workers.find_worker(app, visitor.operator, name)
    return page(request, "stop.html", identity=visitor, worker=worker, refreshes=False)


@router.post("/stops")
def stop(app: Ledger, visitor: Visitor, form: Form) -> Response:
    reason = str(form.get("reason", "")).strip() or None
    workers.stop_worker(app, visitor.operator, str(form.get("name", "")), reason=reason)
    return RedirectResponse("/workers", 303)
