"""Starts a bulk action from a request body: its audit row, and its background task."""

from __future__ import annotations

from fastapi import Response

from admin_api.http.envelope import Envelope
from admin_api.http.state import ApiState
from admin_api.shapes.actions import Action, Bulk, Plan
from jobs.operations.audit.operator import Operator
from jobs.operations.audit.progress import action_of
from jobs.operations.bulk import action, undo
from jobs.operations.bulk.argument_changes import check_changes
from jobs.operations.bulk.batches import Act
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.runs.selector import make_selector


def start(
    api_state: ApiState, by: Operator, act: Act, body: Bulk, response: Response, *, at: str
) -> Envelope[Action | Plan]:
    """Show the plan of a dry run; or record the action and start it: 202, with the address of its progress.

    Raises:
        SelectorRefused, NotFound, Conflict: nothing was done.
    """
    app = api_state.app
    planned = action.plan(app, by, act, make_selector(app, body.selector.asked()))
    if isinstance(act, ReplayAction) and act.changes:
        check_changes(act.changes, sorted({kind for kind, _, _ in planned.groups}))
    if body.dry_run:
        response.status_code = 200
        return Envelope(data=Plan.of(planned, app.clock.now()))
    api_state.background_tasks.check_room()
    begun = action.begin(
        app, by, act, planned, reason=body.reason, expect=body.expect, rate=body.rate, resume=body.resume
    )  # fmt: skip
    # Read before the action starts, so that the response has the initial row.
    shown = Action.of(*action_of(app, begun.report.action_id))
    api_state.background_tasks.take(lambda is_stopped: action.go_on(app, begun, is_stopped=is_stopped))
    response.headers["Location"] = f"{at}/{shown.id}"
    return Envelope(data=shown)


def start_undo(
    api_state: ApiState, by: Operator, text: str, reason: str | None, response: Response
) -> Envelope[Action]:
    """Record the undo and start it: 202, with the address of its progress."""
    app = api_state.app
    found = undo.plan_undo(app, by, text)
    api_state.background_tasks.check_room()
    report = undo.begin_undo(app, by, found, reason=reason)
    shown = Action.of(*action_of(app, report.action_id))
    api_state.background_tasks.take(lambda is_stopped: undo.go_on(app, by, found, report))
    response.headers["Location"] = f"/v1/audit-entries/{shown.id}"
    return Envelope(data=shown)
