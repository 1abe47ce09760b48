"""Health probes: liveness of this process, readiness of the ledger, and the ledger's metrics."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from admin_api.http.access import By
from admin_api.http.envelope import Envelope
from admin_api.http.error_responses import ANSWERS
from admin_api.http.prefix_route import PrefixRoute
from admin_api.http.state import CurrentState, Ledger
from jobs.migration import schema
from jobs.observe.endpoint import METRICS_TYPE
from jobs.operations.audit.operator import Permission

router = APIRouter(tags=["health"], route_class=PrefixRoute)


class Health(BaseModel):
    status: Literal["ok"] = "ok"


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> Envelope[Health]:
    """Answers 200 while the process is alive; does not query the ledger."""
    return Envelope(data=Health())


@router.get("/readyz", summary="Does the ledger answer?", responses={503: ANSWERS[503]})
def readyz(app: Ledger) -> Envelope[Health]:
    """Answers 200 when the ledger answers, takes writes and has the tables of this release; else 503."""
    schema.check(app.database)
    if not app.settings.api_read_only:
        app.database.refuse_read_only()
    return Envelope(data=Health())


@router.get(
    "/metrics",
    summary="The ledger's metrics",
    response_class=Response,
    responses={
        200: {
            "content": {METRICS_TYPE: {"schema": {"type": "string"}}},
            "description": "In the Prometheus text format.",
        },
        **{status: ANSWERS[status] for status in (401, 403, 500, 503)},
    },
)
def read_metrics(api_state: CurrentState, by: By) -> Response:
    """Requires a token, because it names queues and kinds. The figures are a few seconds old at most."""
    by.need(Permission.RUNS_READ)
    return Response(api_state.metrics.page(), media_type=METRICS_TYPE)
