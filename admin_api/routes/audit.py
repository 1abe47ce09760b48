"""The audit log: lists and shows the actions of operators, and undoes them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from admin_api.http.access import By
from admin_api.http.envelope import Envelope
from admin_api.http.paging import Paging, page
from admin_api.http.route import Route
from admin_api.http.state import CurrentState, Ledger
from admin_api.routes.bulk_start import start_undo
from admin_api.shapes.actions import ActedOn, Action
from admin_api.shapes.base import Because
from jobs.operations.audit import actions
from jobs.operations.audit.progress import state_of

router = APIRouter(prefix="/v1/audit-entries", tags=["audit"], route_class=Route)
Pages = Annotated[Paging, Query()]


@router.get("", summary="List what operators did")
def list_entries(app: Ledger, by: By, paging: Pages) -> Envelope[list[Action]]:
    """The latest first."""
    found, now = actions.list_actions(app, by, before=paging.after_id, limit=paging.more), app.clock.now()
    return page(found, paging, lambda one: Action.of(one, state_of(one, now)), place=lambda one: one["id"])


@router.get("/{id}", summary="Show what an operator did")
def read_entry(app: Ledger, by: By, id: str) -> Envelope[Action]:
    """`id` is the full id, or a unique start or end of it."""
    found, _ = actions.find_action(app, by, id, limit=0)
    return Envelope(data=Action.of(found, state_of(found, app.clock.now())))


@router.get("/{id}/runs", summary="List what an action did to each run")
def list_acted_on(app: Ledger, by: By, id: str, paging: Pages) -> Envelope[list[ActedOn]]:
    """Sorted by the run's id; with each run's state before and after, or the reason for skipping it."""
    _, notes = actions.find_action(app, by, id, after=paging.after_id, limit=paging.more)
    return page(notes, paging, ActedOn.of, place=lambda one: one.run_id)


@router.post("/{id}/undos", summary="Undo an action", status_code=202)
def undo_entry(api_state: CurrentState, by: By, id: str, body: Because, response: Response) -> Envelope[Action]:
    """Reverts the runs that have not changed since the action. 202: it has started; `Location` shows its progress."""
    return start_undo(api_state, by, id, body.reason, response)
