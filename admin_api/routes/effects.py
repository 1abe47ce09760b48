"""Effects: lists those that are unknown, and records what an operator found out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from admin_api.http.access import By
from admin_api.http.envelope import Envelope
from admin_api.http.paging import whole
from admin_api.http.route import Route
from admin_api.http.run_query import RunQuery
from admin_api.http.state import Ledger
from admin_api.routes.runs import MISSED
from admin_api.shapes.runs import Effect, NewResolution, Resolution
from jobs.operations.effects import listing
from jobs.operations.effects.resolve import resolve
from jobs.operations.runs.selector import make_selector

router = APIRouter(tags=["effects"], route_class=Route)


class EffectQuery(RunQuery):
    """Which effects to list: those of the selected runs."""

    unknown: bool = True


Asked = Annotated[EffectQuery, Query()]


@router.get("/v1/effects", summary="List effects", responses=MISSED)
def list_effects(app: Ledger, by: By, query: Asked) -> Envelope[list[Effect]]:
    """The unknown effects of the matching runs; if none is named, of all runs that died as `unknown_effect`. With
    `unknown=false`, the others too. `limit` counts runs."""
    selector = make_selector(app, query.asked())
    found = listing.list_effects(
        app, by, selector, only_unknown=query.unknown, limit=query.limit, cursor=query.cursor
    )  # fmt: skip
    return whole([Effect.of(one) for one in found.effects], query, found.next_cursor)


@router.post("/v1/runs/{id}/resolutions", summary="Resolve an unknown effect", status_code=201)
def create_resolution(app: Ledger, by: By, id: str, body: NewResolution, response: Response) -> Envelope[Resolution]:
    """Records whether the effect took place, and reopens a dead run. `Location` is its audit entry."""
    done = resolve(
        app, by, id, body.step, took_place=body.took_place, result=body.result, reason=body.reason,
        reopens=body.reopen,
    )  # fmt: skip
    response.headers["Location"] = f"/v1/audit-entries/{done.action_id}"
    return Envelope(data=Resolution.model_validate(done))
