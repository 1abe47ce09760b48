"""Schedules and their slots."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from admin_api.http.access import By
from admin_api.http.envelope import Envelope
from admin_api.http.paging import Paging, page
from admin_api.http.route import Route
from admin_api.http.state import Ledger
from admin_api.shapes.base import Because, Moment
from admin_api.shapes.runs import Enqueued
from admin_api.shapes.schedules import (
    Backfill,
    Backfilled,
    NewSchedule,
    Planned,
    Schedule,
    ScheduleChange,
    SchedulePause,
    ScheduleRun,
    Slot,
    When,
)
from jobs.operations.schedules import actions, backfill, edit, views
from jobs.operations.schedules.edit import far_from

router = APIRouter(prefix="/v1/schedules", tags=["schedules"], route_class=Route)
Pages = Annotated[Paging, Query()]


class ScheduleQuery(Paging):
    kind: str | None = Field(None, max_length=200)
    owner: Literal["code", "operator"] | None = None
    state: Literal["active", "paused", "ended", "broken"] | None = None


class PreviewQuery(BaseModel):
    """The period of a preview."""

    model_config = ConfigDict(extra="forbid")

    since: Moment | None = Field(None, description="Start; default: now.")
    until: Moment | None = Field(None, description="End; default: ten years later.")
    limit: int = Field(10, ge=1, le=500)


class Resumed(Because):
    catch_up: bool = Field(False, description="Treat the slots of the pause as missed, by the schedule's policy.")


class Deleted(Because):
    force: bool = Field(False, description="Also delete a schedule declared in code; its scheduler creates it again.")


@router.get("", summary="List schedules")
def list_schedules(app: Ledger, by: By, query: Annotated[ScheduleQuery, Query()]) -> Envelope[list[Schedule]]:
    """By name."""
    found = views.list_schedules(
        app, by, kind=query.kind, owner=query.owner, state=query.state, after=query.after_text, limit=query.more
    )
    return page(found, query, Schedule.of, place=lambda one: one.record.name)


@router.post("", summary="Create a schedule", status_code=201)
def create_schedule(app: Ledger, by: By, body: NewSchedule, response: Response) -> Envelope[Schedule]:
    """409 if the name is taken."""
    view = edit.new_schedule(app, body.name, body.kind, body.arguments, body.when.data(), queue=body.queue,
                                  priority=body.priority, by=by, reason=body.reason)  # fmt: skip
    response.headers["Location"] = f"/v1/schedules/{quote(view.record.name, safe='')}"
    return Envelope(data=Schedule.of(view))


@router.post("/previews", summary="Preview a new schedule")
def preview_new(app: Ledger, by: By, body: When, query: Annotated[PreviewQuery, Query()]) -> Envelope[list[Planned]]:
    """The next slots of a schedule that is not saved, with notes on clock changes. Changes nothing."""
    found = edit.preview_data(app, by, body.data(), since=query.since, until=query.until, limit=query.limit)
    return Envelope(data=[Planned.model_validate(one) for one in found])


@router.get("/{name}", summary="Show a schedule")
def read_schedule(app: Ledger, by: By, name: str) -> Envelope[Schedule]:
    view, _, _ = views.show_schedule(app, by, name, limit=0)
    return Envelope(data=Schedule.of(view))


@router.patch("/{name}", summary="Change a schedule")
def change_schedule(app: Ledger, by: By, name: str, body: ScheduleChange) -> Envelope[Schedule]:
    """Only schedules of operators; 409 for one declared in code. Slots already due follow the old schedule."""
    view = edit.change_schedule(
        app, name, {} if body.when is None else body.when.data(), arguments=body.arguments, queue=body.queue,
        priority=body.priority, by=by, reason=body.reason,
    )  # fmt: skip
    return Envelope(data=Schedule.of(view))


@router.delete("/{name}", summary="Delete a schedule", status_code=204)
def delete_schedule(app: Ledger, by: By, name: str, how: Annotated[Deleted, Query()]) -> Response:
    """The record of its slots stays."""
    actions.delete_schedule(app, name, by=by, reason=how.reason, is_forced=how.force)
    return Response(status_code=204)


@router.get("/{name}/slots", summary="List a schedule's slots")
def list_slots(app: Ledger, by: By, name: str, paging: Pages) -> Envelope[list[Slot]]:
    """The outcome of each slot, the latest first."""
    found = views.slots_of(app, by, name, before=paging.after_moment, limit=paging.more)
    return page(found, paging, Slot.model_validate, place=lambda one: one.slot_at)


@router.get("/{name}/previews", summary="Preview a schedule")
def list_previews(app: Ledger, by: By, name: str, query: Annotated[PreviewQuery, Query()]) -> Envelope[list[Planned]]:
    """The next slots, with notes on clock changes."""
    until = query.until or far_from(query.since or app.clock.now())
    found = views.preview_schedule(app, by, name, since=query.since, until=until, limit=query.limit)
    return Envelope(data=[Planned.model_validate(one) for one in found])


@router.post("/{name}/runs", summary="Make a run of a schedule now", status_code=201)
def run_schedule(app: Ledger, by: By, name: str, body: ScheduleRun, response: Response) -> Envelope[Enqueued]:
    """In addition to its slots, even while it is paused."""
    run_id = actions.run_schedule(app, name, by=by, moment=body.scheduled_for, reason=body.reason)
    response.headers["Location"] = f"/v1/runs/{run_id}"
    return Envelope(data=Enqueued(id=run_id, created=True))


@router.put("/{name}/pause", summary="Pause a schedule", status_code=204)
def pause_schedule(app: Ledger, by: By, name: str, body: SchedulePause) -> Response:
    """No runs are made until it is resumed. Existing runs continue; a deploy does not resume it."""
    actions.pause_schedule(app, name, by=by, reason=body.reason)
    return Response(status_code=204)


@router.delete("/{name}/pause", summary="Resume a schedule", status_code=204)
def resume_schedule(app: Ledger, by: By, name: str, how: Annotated[Resumed, Query()]) -> Response:
    """Slots of the pause are skipped, unless `catch_up` is true."""
    actions.resume_schedule(app, name, by=by, reason=how.reason, catches_up=how.catch_up)
    return Response(status_code=204)


@router.post("/{name}/backfills", summary="Make the runs of slots that have no run")
def backfill_schedule(app: Ledger, by: By, name: str, body: Backfill) -> Envelope[Backfilled]:
    """For slots that were missed or skipped, or lie before the schedule was created; all runs are due at once."""
    slots, made = backfill.backfill(
        app, name, since=body.since, until=body.until, by=by, reason=body.reason, expect=body.expect,
        dry_run=body.dry_run,
    )  # fmt: skip
    return Envelope(data=Backfilled(slots=slots[:100], count=len(slots), made=made))
