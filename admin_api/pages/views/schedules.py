"""Schedules: lists and shows them with their slots; runs, pauses and resumes them."""

from __future__ import annotations

from fastapi import HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from admin_api.http.state import CurrentState, Ledger
from admin_api.pages.drawings.slot_line import draw_day, draw_story
from admin_api.pages.frame import template_filters
from admin_api.pages.frame.cacheable import cacheable
from admin_api.pages.frame.page_auth import Form, Visitor
from admin_api.pages.frame.render import page, part
from admin_api.pages.frame.router import page_router
from jobs.operations.schedules import actions, views
from jobs.operations.schedules.views import ScheduleView

router = page_router()
A_PAGE = 50
VERBS = {
    "run": "Makes one run now, in addition to the schedule's slots, even while it is paused.",
    "pause": "No runs are made until the schedule is resumed; existing runs continue.",
    "resume": "Runs are made again from the next slot; slots of the pause are skipped.",
}


@router.get("/schedules")
@cacheable
def show_schedules(request: Request, api_state: CurrentState, visitor: Visitor, after: str | None = None) -> Response:
    found = views.list_schedules(api_state.app, visitor.operator, after=after, limit=A_PAGE + 1)
    now = api_state.app.clock.now()
    return page(
        request,
        "schedules.html",
        identity=visitor,
        schedules=[(one, draw_day(one.record, now=now)) for one in found[:A_PAGE]],
        is_first=after is None,
        following=found[A_PAGE - 1].record.name if len(found) > A_PAGE else None,
    )


@router.get("/schedules/{name:path}/acts/{verb}")
def ask_act(request: Request, app: Ledger, visitor: Visitor, name: str, verb: str) -> Response:
    if verb not in VERBS:
        raise HTTPException(404)
    view, _, _ = views.show_schedule(app, visitor.operator, name, limit=1)
    return page(
        request, "schedule_act.html", identity=visitor, view=view, verb=verb, says=VERBS[verb], refreshes=False
    )  # fmt: skip


@router.post("/schedules/{name:path}/acts/{verb}")
def act(app: Ledger, visitor: Visitor, name: str, verb: str, form: Form) -> Response:
    operator, reason = visitor.operator, str(form.get("reason", "")).strip() or None
    match verb:
        case "run":
            run_id = actions.run_schedule(app, name, by=operator, reason=reason)
            return RedirectResponse(f"/runs/{run_id}", 303)
        case "pause":
            actions.pause_schedule(app, name, by=operator, reason=reason)
        case "resume":
            actions.resume_schedule(app, name, by=operator, reason=reason)
        case _:
            raise HTTPException(404)
    return RedirectResponse(f"/schedules/{part(name)}", 303)


@router.get("/schedules/{name:path}")
@cacheable
def show_schedule(request: Request, api_state: CurrentState, visitor: Visitor, name: str) -> Response:
    app = api_state.app
    view, past, coming = views.show_schedule(app, visitor.operator, name)
    return page(
        request,
        "schedule.html",
        identity=visitor,
        view=view,
        past=past,
        coming=coming,
        line=draw_story(past, coming, now=app.clock.now()),
        facts=_facts(view),
    )


def _facts(view: ScheduleView) -> list[tuple[str, object]]:
    one = view.record
    every: list[tuple[str, object]] = [
        ("when", view.when),
        ("kind", one.kind),
        ("queue", one.queue),
        ("priority", one.priority or None),
        ("owner", f"code, {one.place}" if one.owner == "code" else "an operator"),
        ("last success", template_filters.stamp(view.last_success_at) if view.last_success_at else None),
        ("last fired", template_filters.stamp(one.last_fired_at) if one.last_fired_at else None),
        ("decided until", template_filters.stamp(one.decided_until)),
        ("paused by", one.paused_by if one.paused_at else None),
        ("reason", one.pause_reason if one.paused_at else None),
        ("problem", one.problem),
        ("arguments", one.arguments),
        ("definition", one.definition),
    ]
    return [(name, value) for name, value in every if value not in (None, "")]
