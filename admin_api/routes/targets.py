"""Targets of queues and kinds: list, set and clear them."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Annotated

from fastapi import APIRouter, Query, Response

from admin_api.http.access import By
from admin_api.http.envelope import Envelope
from admin_api.http.paging import Paging, page
from admin_api.http.route import Route
from admin_api.http.state import CurrentState, Ledger
from admin_api.shapes.base import Because
from admin_api.shapes.targets import NewTarget, Target, TargetInForce
from jobs.operations.control import targets
from jobs.operations.insight.targets import TargetSummary

router = APIRouter(prefix="/v1", route_class=Route)
QUEUES: list[str | Enum] = ["queues"]
KINDS: list[str | Enum] = ["kinds"]


@router.get("/targets", summary="List targets", tags=QUEUES)
def list_targets(api_state: CurrentState, by: By, paging: Annotated[Paging, Query()]) -> Envelope[list[TargetInForce]]:
    """Every target of a queue or a kind, with its error budget; kinds first, sorted by name."""
    found = sorted(api_state.reports.targets(by), key=_place)
    return page(
        [one for one in found if _place(one) > (paging.after_text or "")], paging, TargetInForce.of, place=_place
    )


@router.put("/queues/{name}/target", summary="Set a queue's target", tags=QUEUES)
def set_target(app: Ledger, by: By, name: str, body: NewTarget) -> Envelope[Target]:
    """Metrics and alerts use it from then on. It wins over JOBS_LATENCY_TARGET until it is cleared."""
    return Envelope(data=_set(app, by, "queue", name, body))


@router.delete("/queues/{name}/target", summary="Clear a queue's target", status_code=204, tags=QUEUES)
def clear_target(app: Ledger, by: By, name: str, because: Annotated[Because, Query()]) -> Response:
    """JOBS_LATENCY_TARGET holds again. 409 if no target is set."""
    targets.clear_target(app, by, name, reason=because.reason)
    return Response(status_code=204)


@router.put("/kinds/{name}/target", summary="Set a kind's target", tags=KINDS)
def set_target_of_kind(app: Ledger, by: By, name: str, body: NewTarget) -> Envelope[Target]:
    """It wins over `target=` of the class until it is cleared."""
    return Envelope(data=_set(app, by, "kind", name, body))


@router.delete("/kinds/{name}/target", summary="Clear a kind's target", status_code=204, tags=KINDS)
def clear_target_of_kind(app: Ledger, by: By, name: str, because: Annotated[Because, Query()]) -> Response:
    """What the class declares holds again. 409 if no target is set."""
    targets.clear_target(app, by, name, what="kind", reason=because.reason)
    return Response(status_code=204)


def _set(app: Ledger, by: By, what: str, name: str, body: NewTarget) -> Target:
    latency = None if body.latency_seconds is None else timedelta(seconds=body.latency_seconds)
    found = targets.set_target(
        app, by, name, what=what, latency=latency, success=body.success, reason=body.reason, is_new=body.is_new
    )
    return Target(latency_seconds=found.latency_seconds, success=found.success)


def _place(one: TargetSummary) -> str:
    return f"{one.what}:{one.name}"
