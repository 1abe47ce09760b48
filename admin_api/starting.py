"""Starting: from the body of a bulk action to its row, and the work behind it."""

from __future__ import annotations

from fastapi import Response

from admin_api.envelope import Envelope
from admin_api.house import House
from admin_api.shapes.actions import Action, Bulk, Plan
from jobs.operations import bulk, undo
from jobs.operations.batches import Act
from jobs.operations.operator import Operator
from jobs.operations.progress import action_of
from jobs.operations.replay import Replay, check_changes
from jobs.operations.selector import make_selector


def start(house: House, by: Operator, act: Act, body: Bulk, response: Response, *, at: str) -> Envelope[Action | Plan]:
    """Show what would be done, or put it on record and begin: 202, and where to look after it.

    Raises:
        SelectorRefused, NotFound, Conflict: nothing was done.
    """
    app = house.app
    planned = bulk.plan(app, by, act, make_selector(app, body.selector.asked()))
    if isinstance(act, Replay) and act.changes:
        check_changes(act.changes, sorted({kind for kind, _, _ in planned.groups}))
    if body.dry_run:
        response.status_code = 200
        return Envelope(data=Plan.of(planned, app.clock.now()))
    house.desk.check_room()
    begun = bulk.begin(
        app, by, act, planned, reason=body.reason, expect=body.expect, rate=body.rate, resume=body.resume
    )  # fmt: skip
    # Read before it goes on: the answer is the row as it began.
    shown = Action.of(*action_of(app, begun.report.action_id))
    house.desk.take(lambda is_stopped: bulk.go_on(app, begun, is_stopped=is_stopped))
    response.headers["Location"] = f"{at}/{shown.id}"
    return Envelope(data=shown)


def start_undo(house: House, by: Operator, text: str, reason: str | None, response: Response) -> Envelope[Action]:
    """Put it on record that an action is taken back, and begin: 202, and where to look after it."""
    app = house.app
    found = undo.plan_undo(app, by, text)
    house.desk.check_room()
    report = undo.begin_undo(app, by, found, reason=reason)
    shown = Action.of(*action_of(app, report.action_id))
    house.desk.take(lambda is_stopped: undo.go_on(app, by, found, report))
    response.headers["Location"] = f"/v1/audit-entries/{shown.id}"
    return Envelope(data=shown)
