"""Schedules: when runs are made, and what became of each slot."""

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
    """How far to look."""

    model_config = ConfigDict(extra="forbid")

    since: Moment | None = Field(None, description="From when; now, if not said.")
    until: Moment | None = Field(None, description="Until when; ten years on, if not said.")
    limit: int = Field(10, ge=1, le=500)


class Resumed(Because):
    catch_up: bool = Field(False, description="Treat slots of the pause as missed ones, by its policy.")


class Deleted(Because):
    force: bool = Field(False, description="Even one of the code, which its scheduler writes again.")


@router.get("", summary="List schedules")
def list_schedules(app: Ledger, by: By, query: Annotated[ScheduleQuery, Query()]) -> Envelope[list[Schedule]]:
    """By name."""
    found = views.list_schedules(
        app, by, kind=query.kind, owner=query.owner, state=query.state, after=query.after_text, limit=query.more
    )
    return page(found, query, Schedule.of, place=lambda one: one.record.name)


@router.post("", summary="Create a schedule", status_code=201)
def create_schedule(app: Ledger, by: By, body: NewSchedule, response: Response) -> Envelope[Schedule]:
    """409 where the name is taken."""
    view = edit.new_schedule(app, body.name, body.kind, body.arguments, body.when.data(), queue=body.queue,
                                  priority=body.priority, by=by, reason=body.reason)  # fmt: skip
    response.headers["Location"] = f"/v1/schedules/{quote(view.record.name, safe='')}"
    return Envelope(data=Schedule.of(view))


@router.post("/previews", summary="When would it fire?")
def preview_new(app: Ledger, by: By, body: When, query: Annotated[PreviewQuery, Query()]) -> Envelope[list[Planned]]:
    """Of a schedule that is not saved: its next slots, with what the clocks do to them. Changes nothing."""
    found = edit.preview_data(app, by, body.data(), since=query.since, until=query.until, limit=query.limit)
    return Envelope(data=[Planned.model_validate(one) for one in found])


@router.get("/{name}", summary="Show a schedule")
def read_schedule(app: Ledger, by: By, name: str) -> Envelope[Schedule]:
    view, _, _ = views.show_schedule(app, by, name, limit=0)
    return Envelope(data=Schedule.of(view))


@router.patch("/{name}", summary="Change a schedule")
def change_schedule(app: Ledger, by: By, name: str, body: ScheduleChange) -> Envelope[Schedule]:
    """An operator's; 409 for one of the code. Slots due by now are settled as it was before."""
    view = edit.change_schedule(
        app, name, {} if body.when is None else body.when.data(), arguments=body.arguments, queue=body.queue,
        priority=body.priority, by=by, reason=body.reason,
    )  # fmt: skip
    return Envelope(data=Schedule.of(view))


@router.delete("/{name}", summary="Delete a schedule", status_code=204)
def delete_schedule(app: Ledger, by: By, name: str, how: Annotated[Deleted, Query()]) -> Response:
    """Its slots stay on record."""
    actions.delete_schedule(app, name, by=by, reason=how.reason, is_forced=how.force)
    return Response(status_code=204)


@router.get("/{name}/slots", summary="List a schedule's slots")
def list_slots(app: Ledger, by: By, name: str, paging: Pages) -> Envelope[list[Slot]]:
    """What became of each, the latest first."""
    found = views.slots_of(app, by, name, before=paging.after_moment, limit=paging.more)
    return page(found, paging, Slot.model_validate, place=lambda one: one.slot_at)


@router.get("/{name}/previews", summary="When does it fire?")
def list_previews(app: Ledger, by: By, name: str, query: Annotated[PreviewQuery, Query()]) -> Envelope[list[Planned]]:
    """The slots to come, with what the clocks do to them."""
    until = query.until or far_from(query.since or app.clock.now())
    found = views.preview_schedule(app, by, name, since=query.since, until=until, limit=query.limit)
    return Envelope(data=[Planned.model_validate(one) for one in found])


@router.post("/{name}/runs", summary="Make a run of a schedule now", status_code=201)
def run_schedule(app: Ledger, by: By, name: str, body: ScheduleRun, response: Response) -> Envelope[Enqueued]:
    """Beside its slots; paused or not."""
    run_id = actions.run_schedule(app, name, by=by, moment=body.scheduled_for, reason=body.reason)
    response.headers["Location"] = f"/v1/runs/{run_id}"
    return Envelope(data=Enqueued(id=run_id, created=True))


@router.put("/{name}/pause", summary="Pause a schedule", status_code=204)
def pause_schedule(app: Ledger, by: By, name: str, body: SchedulePause) -> Response:
    """Make no runs until it is resumed. Runs that exist go on; a deploy does not resume it."""
    actions.pause_schedule(app, name, by=by, reason=body.reason)
    return Response(status_code=204)


@router.delete("/{name}/pause", summary="Resume a schedule", status_code=204)
def resume_schedule(app: Ledger, by: By, name: str, how: Annotated[Resumed, Query()]) -> Response:
    """Slots of the pause are skipped, unless `catch_up` says otherwise."""
    actions.resume_schedule(app, name, by=by, reason=how.reason, catches_up=how.catch_up)
    return Response(status_code=204)


@router.post("/{name}/backfills", summary="Make the runs of slots that made none")
def backfill_schedule(app: Ledger, by: By, name: str, body: Backfill) -> Envelope[Backfilled]:
    """Slots that were missed or skipped, or before the schedule was made; all due at once."""
    slots, made = backfill.backfill(
        app, name, since=body.since, until=body.until, by=by, reason=body.reason, expect=body.expect,
        dry_run=body.dry_run,
    )  # fmt: skip
    return Envelope(data=Backfilled(slots=slots[:100], count=len(slots), made=made))
