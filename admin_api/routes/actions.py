"""Bulk actions as resources: POST starts one, GET shows its progress, DELETE stops it. Each has a row in the audit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from admin_api.http.access import By
from admin_api.http.envelope import Envelope
from admin_api.http.paging import Paging, page
from admin_api.http.route import Route
from admin_api.http.state import CurrentState, Ledger
from admin_api.routes.bulk_start import start
from admin_api.shapes.actions import Action, NewCancellation, NewPurge, NewReplay, NewRestoration, Plan
from jobs.operations.audit import progress
from jobs.operations.bulk.cancel import CancelAction
from jobs.operations.bulk.purge import PurgeAction, RestoreAction
from jobs.operations.bulk.replay import ReplayAction

router = APIRouter(tags=["actions"], route_class=Route)
Pages = Annotated[Paging, Query()]
Begun = Envelope[Action | Plan]
BEGUN: dict[str, Any] = {
    "status_code": 202,
    "responses": {200: {"model": Envelope[Plan], "description": "A dry run."}},
}


@router.post("/v1/replays", summary="Replay runs", **BEGUN)
def create_replay(api_state: CurrentState, by: By, body: NewReplay, response: Response) -> Begun:
    """Replays dead runs, unless `state` selects others. 202: it has started; `Location` shows its progress."""
    act = ReplayAction(
        app=api_state.app, operator=by, changes=body.set, queue=body.queue, priority=body.priority,
        delay_seconds=body.delay_seconds, reset_steps=body.reset_steps, from_step=body.from_step,
    )  # fmt: skip
    return start(api_state, by, act, body, response, at="/v1/replays")


@router.post("/v1/cancellations", summary="Cancel runs", **BEGUN)
def create_cancellation(api_state: CurrentState, by: By, body: NewCancellation, response: Response) -> Begun:
    """Cancels unfinished runs. 202: it has started; `Location` shows its progress."""
    return start(api_state, by, CancelAction(reason=body.reason), body, response, at="/v1/cancellations")


@router.post("/v1/purges", summary="Purge runs", **BEGUN)
def create_purge(api_state: CurrentState, by: By, body: NewPurge, response: Response) -> Begun:
    """Hides finished runs. 202: it has started; `Location` shows its progress."""
    return start(api_state, by, PurgeAction(erase=body.erase), body, response, at="/v1/purges")


@router.post("/v1/restorations", summary="Restore purged runs", **BEGUN)
def create_restoration(api_state: CurrentState, by: By, body: NewRestoration, response: Response) -> Begun:
    """Restores purged runs. 202: it has started; `Location` shows its progress."""
    return start(api_state, by, RestoreAction(), body, response, at="/v1/restorations")


def _add_action_routes(place: str, verbs: tuple[str, ...]) -> None:
    """Add the routes that list, show and stop actions of these verbs."""
    what = place.removesuffix("s")

    def list_actions(app: Ledger, by: By, paging: Pages) -> Envelope[list[Action]]:
        """The latest first."""
        found = progress.list_progress(app, by, verbs, before=paging.after_id, limit=paging.more)
        return page(found, paging, lambda one: Action.of(*one), place=lambda one: one[0]["id"])

    def read_action(app: Ledger, by: By, id: UUID) -> Envelope[Action]:
        """Shows `done` and `skipped` of `expected`. For each run: `/v1/audit-entries/{id}/runs`."""
        return Envelope(data=Action.of(*progress.find_progress(app, by, verbs, id)))

    def stop_action(app: Ledger, by: By, id: UUID) -> Response:
        """The action ends after its current batch, and keeps its changes. Undo reverts them; `resume` continues."""
        progress.stop(app, by, verbs, id)
        return Response(status_code=204)

    add: Callable[..., Any] = router.add_api_route
    add(f"/v1/{place}", list_actions, summary=f"List {place}", operation_id=f"list_{place}")
    add(f"/v1/{place}/{{id}}", read_action, summary=f"Show a {what}", operation_id=f"read_{what}")
    add(
        f"/v1/{place}/{{id}}", stop_action, methods=["DELETE"], status_code=204, summary=f"Stop a {what}",
        operation_id=f"stop_{what}",
    )  # fmt: skip


_add_action_routes("replays", ("replay",))
_add_action_routes("cancellations", ("cancel",))
_add_action_routes("purges", ("purge", "erase"))
_add_action_routes("restorations", ("restore",))
