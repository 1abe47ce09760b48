"""Audit: lists and shows the actions of operators, and undoes them."""

from __future__ import annotations

from uuid import UUID

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from admin_api.http.state import CurrentState, Ledger
from admin_api.pages.frame import template_filters
from admin_api.pages.frame.cacheable import cacheable
from admin_api.pages.frame.page_auth import Form, Visitor
from admin_api.pages.frame.render import page
from admin_api.pages.frame.router import page_router
from jobs.errors import Forbidden, JobsError
from jobs.ledger.operators.audit import AuditEntry
from jobs.operations.audit import actions, progress
from jobs.operations.audit.operator import Permission
from jobs.operations.bulk import undo
from jobs.operations.bulk.batches import BATCH

router = page_router()
A_PAGE = 50
MAX_ENTRIES = 100


@router.get("/audit")
@cacheable
def show_audit(request: Request, api_state: CurrentState, visitor: Visitor, before: UUID | None = None) -> Response:
    found = actions.list_actions(api_state.app, visitor.operator, before=before, limit=A_PAGE + 1)
    return page(
        request,
        "audit.html",
        identity=visitor,
        actions=found[:A_PAGE],
        is_first=before is None,
        following=found[A_PAGE - 1]["id"] if len(found) > A_PAGE else None,
    )


@router.get("/audit/{text}")
def show_action(request: Request, app: Ledger, visitor: Visitor, text: str) -> Response:
    action, entries = actions.find_action(app, visitor.operator, text, limit=MAX_ENTRIES + 1)
    return page(
        request,
        "action.html",
        identity=visitor,
        action=action,
        state=progress.state_of(action, app.clock.now()),
        may_stop=visitor.operator.may(progress.VERBS.get(action["verb"], Permission.USERS_WRITE)),
        entries=[(one, _moves(one)) for one in entries[:MAX_ENTRIES]],
        is_cut=len(entries) > MAX_ENTRIES,
        can_undo=_can_undo(request, app, visitor, text),
        facts=_facts(action),
        refreshes=action["state"] == "running",
    )


@router.get("/audit/{text}/undo")
def ask_undo(request: Request, app: Ledger, visitor: Visitor, text: str) -> Response:
    action = undo.plan_undo(app, visitor.operator, text)
    return page(request, "undo.html", identity=visitor, action=action, refreshes=False)


@router.post("/audit/{text}/undo")
def undo_now(api_state: CurrentState, visitor: Visitor, text: str, form: Form) -> Response:
    """Undoes an action; large ones run in the background."""
    app, operator = api_state.app, visitor.operator
    action = undo.plan_undo(app, operator, text)
    api_state.background_tasks.check_room()
    report = undo.begin_undo(app, operator, action, reason=str(form.get("reason", "")).strip() or None)
    if action["done"] > BATCH:
        api_state.background_tasks.take(lambda is_stopped: undo.go_on(app, operator, action, report))
    else:
        undo.go_on(app, operator, action, report)
    return RedirectResponse(f"/audit/{report.action_id}", 303)


@router.post("/audit/{action_id}/stop")
def stop_now(app: Ledger, visitor: Visitor, action_id: UUID, form: Form) -> Response:
    """Stops an action after its current batch."""
    progress.stop(app, visitor.operator, tuple(progress.VERBS), action_id)
    return RedirectResponse(f"/audit/{action_id}", 303)


def _can_undo(request: Request, app: Ledger, visitor: Visitor, text: str) -> bool:
    try:
        undo.plan_undo(app, visitor.operator, text)
    except (JobsError, Forbidden):
        return False
    return True


def _moves(note: AuditEntry) -> list[tuple[str, object, object]]:
    """The changes to a run, in the terms of the pages."""
    before, after = dict(note.before or {}), dict(note.after or {})
    names = [name for name in ("state", "queue", "priority") if before.get(name) != after.get(name)]
    return [(name, before.get(name), after.get(name)) for name in names]


def _facts(action: dict[str, object]) -> list[tuple[str, object]]:
    started, finished = action["started_at"], action["finished_at"]
    every: list[tuple[str, object]] = [
        ("id", str(action["id"])),
        ("by", action["actor"]),
        ("target", action["target"]),
        ("reason", action["reason"]),
        ("started", template_filters.stamp(started) if started else None),  # type: ignore[arg-type]
        ("finished", template_filters.stamp(finished) if finished else None),  # type: ignore[arg-type]
        ("selector", template_filters.inline(action["selector"]) if action["selector"] else None),
        ("options", template_filters.inline(action["options"]) if action["options"] else None),
        ("expected", action["expected"]),
        ("done", action["done"]),
        ("skipped", action["skipped"] or None),
    ]
    if action["target"] != "runs":
        every += [(name, template_filters.inline(action[name])) for name in ("before", "after") if action[name]]
    return [(name, value) for name, value in every if value not in (None, "")]
