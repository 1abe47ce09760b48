"""Actions on runs: shows the plan and its number of runs, then runs it after a reason if the number still holds."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fastapi import HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData, QueryParams

from admin_api.http.state import ApiState, CurrentState, Ledger
from admin_api.pages.frame.argument_form import MISTAKES, read_fields
from admin_api.pages.frame.page_auth import Form, Visitor
from admin_api.pages.frame.render import link, page
from admin_api.pages.frame.router import page_router
from admin_api.pages.frame.run_query import read_choice
from jobs.app import App
from jobs.definition import registry
from jobs.errors import JobsError
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk import action
from jobs.operations.bulk.argument_changes import check_changes
from jobs.operations.bulk.batches import BATCH, Act
from jobs.operations.bulk.cancel import CancelAction
from jobs.operations.bulk.purge import PurgeAction, RestoreAction
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.runs.detail import detail
from jobs.operations.runs.selector import make_selector

router = page_router()
DONE = {"replay": "replayed", "cancel": "cancelled", "purge": "purged", "restore": "restored"}
VERB_TEXTS = {
    "replay": "Dead and cancelled runs are reopened with a fresh budget. Succeeded runs get a new run each.",
    "cancel": "Waiting runs are cancelled at once; workers interrupt the running ones.",
    "purge": "Purged runs are hidden, and can be restored until the pruner deletes them.",
    "restore": "Purged runs become visible again.",
}


@router.get("/actions/new")
def show_plan(request: Request, app: Ledger, visitor: Visitor, verb: str) -> Response:
    """Shows the plan; changes nothing."""
    return _plan_page(request, app, visitor, verb, request.query_params, {})


@router.post("/actions/plan")
def show_changed_plan(request: Request, app: Ledger, visitor: Visitor, form: Form) -> Response:
    """The plan of a replay with changed arguments, which must not appear in addresses."""
    try:
        changes = _changes(form)
    except ValueError as error:
        raise HTTPException(400, "The arguments cannot be read.") from error
    return _plan_page(request, app, visitor, "replay", form, changes)


@router.post("/actions")
def act_now(request: Request, api_state: CurrentState, visitor: Visitor, form: Form) -> Response:
    """Runs the plan if the number of runs is still the same. Large actions run in the background."""
    app, operator = api_state.app, visitor.operator
    verb, reason = str(form.get("verb", "")), str(form.get("reason", "")).strip()
    changes = _changes(form)
    try:
        act = _act(app, operator, verb, changes, reason)
        planned = action.plan(app, operator, act, make_selector(app, read_choice(form).asked))
        api_state.background_tasks.check_room()
        begun = action.begin(
            app, operator, act, planned, reason=reason or None, expect=_number(form.get("expect"))
        )  # fmt: skip
    except JobsError as error:
        if error.code not in ("conflict", "selector_refused"):
            raise
        return _plan_page(request, app, visitor, verb, form, changes, problem=error, reason=reason)
    if planned.count > BATCH:
        api_state.background_tasks.take(partial(_go_on, api_state, begun))
        return RedirectResponse(f"/audit/{begun.report.action_id}", 303)
    report = action.go_on(app, begun)
    if report.new_runs and report.expected == 1:
        return RedirectResponse(f"/runs/{report.new_runs[0][1]}", 303)
    if report.done == 1 and report.expected == 1 and not report.skipped and planned.sample:
        return RedirectResponse(f"/runs/{planned.sample[0].id}", 303)
    return RedirectResponse(f"/audit/{report.action_id}", 303)


@router.get("/runs/{run_id}/replay")
def edit_replay(request: Request, app: Ledger, visitor: Visitor, run_id: str) -> Response:
    """A form with the run's arguments."""
    run = detail(app, visitor.operator, run_id, limit=1).run
    cls = registry.find(run.kind)
    given = run.arguments if isinstance(run.arguments, Mapping) else {}
    fields = read_fields(cls.model_json_schema() if cls is not None else None, given)
    return page(
        request, "edit.html", identity=visitor, run=run, fields=fields, is_known=cls is not None, refreshes=False
    )  # fmt: skip


@router.post("/runs/{run_id}/replay")
def read_edit(request: Request, app: Ledger, visitor: Visitor, run_id: str, form: Form) -> Response:
    """The plan of a replay with changed arguments; or the form again, with its mistakes."""
    run = detail(app, visitor.operator, run_id, limit=1).run
    cls = registry.find(run.kind)
    given = run.arguments if isinstance(run.arguments, Mapping) else {}
    fields = read_fields(cls.model_json_schema() if cls is not None else None, given, form)
    problem: JobsError | None = None
    changes = {
        one.name: one.value
        for one in fields
        if not one.mistake and one.is_set and one.value != given.get(one.name, MISTAKES)
    }
    if cls is not None and not any(one.mistake for one in fields):
        try:
            cls(**{**given, **changes})
        except JobsError as error:
            problem = error
    if problem is not None or any(one.mistake for one in fields) or cls is None:
        return page(
            request, "edit.html", identity=visitor, status=422, run=run, fields=fields, is_known=cls is not None,
            problem=problem, refreshes=False,
        )  # fmt: skip
    asked = QueryParams([("id", str(run.id)), ("state", run.state.value)])
    return _plan_page(request, app, visitor, "replay", asked, changes)


def _go_on(api_state: ApiState, begun: action.BegunAction, is_stopped: Callable[[], bool]) -> None:
    action.go_on(api_state.app, begun, is_stopped=is_stopped)
    api_state.drop()


def _plan_page(
    request: Request,
    app: App,
    visitor: Visitor,
    verb: str,
    given: FormData | QueryParams,
    changes: Mapping[str, Any],
    *,
    problem: JobsError | None = None,
    reason: str = "",
) -> Response:
    operator, choice = visitor.operator, read_choice(given)
    act = _act(app, operator, verb, changes, reason)
    planned = action.plan(app, operator, act, make_selector(app, choice.asked))
    if changes:
        check_changes(changes, sorted({kind for kind, _, _ in planned.groups}))
    sets = [word for name, value in changes.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    command = " ".join([choice.command(verb), shlex.join(["--expect", str(planned.count), *sets])])
    return page(
        request,
        "plan.html",
        identity=visitor,
        status=200 if problem is None else 409,
        verb=verb,
        done=DONE[verb],
        says=VERB_TEXTS[verb],
        plan=planned,
        choice=choice,
        changes=dict(changes),
        changes_text=json.dumps(changes) if changes else "",
        problem=problem,
        reason=reason,
        command=command,
        back=f"/runs/{choice.ids[0]}"
        if len(choice.ids) == 1
        else link("/runs", where=choice.where, state=choice.states),
        refreshes=False,
    )


def _act(app: App, operator: Operator, verb: str, changes: Mapping[str, Any], reason: str) -> Act:
    match verb:
        case "replay":
            return ReplayAction(app=app, operator=operator, changes=dict(changes))
        case "cancel":
            return CancelAction(reason=reason or None)
        case "purge":
            return PurgeAction()
        case "restore":
            return RestoreAction()
    raise HTTPException(404)


def _changes(form: FormData) -> dict[str, Any]:
    text = str(form.get("changes", ""))
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise HTTPException(400, "The arguments cannot be read.")
    return found


def _number(given: object) -> int:
    text = str(given)
    if not text.isdecimal() or len(text) > 12:
        raise HTTPException(400, "The form does not say how many runs were shown.")
    return int(text)
