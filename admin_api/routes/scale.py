"""Forecasts of queues, and the signal for autoscalers."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import APIRouter, Query

from admin_api.http.access import By
from admin_api.http.envelope import Envelope
from admin_api.http.error_responses import ANSWERS
from admin_api.http.route import Route
from admin_api.http.state import Ledger
from admin_api.shapes.scale import Forecast, Scale
from jobs.operations.insight.forecast import forecasts, scale_of

router = APIRouter(prefix="/v1", tags=["queues"], route_class=Route)


@router.get("/scale", summary="How many worker processes a queue wants", responses={404: ANSWERS[404]})
def read_scale(
    app: Ledger, by: By, queue: Annotated[str, Query(min_length=1, max_length=100)] = "default"
) -> Envelope[Scale]:
    """For KEDA's `metrics-api`: `valueLocation: data.workers_wanted`, `targetValue: 1`."""
    return Envelope(data=Scale.model_validate(scale_of(app, by, queue)))


@router.get("/queues/{name}/forecast", summary="Forecast when a queue's backlog is gone")
def read_forecast(
    app: Ledger, by: By, name: str, more_threads: Annotated[int, Query(ge=0, le=10_000)] = 0
) -> Envelope[Forecast]:
    """From what came and ended in the last five minutes, and the threads that are live."""
    (found,) = forecasts(app, by, queue=name, more_threads=more_threads)
    drain = found.with_more or found.drain
    is_never = drain.likely is not None and math.isinf(drain.likely)
    return Envelope(
        data=Forecast(
            queue=found.queue,
            ready=found.ready,
            parked=found.parked,
            is_paused=found.is_paused,
            threads=found.threads + found.more_threads,
            busy=found.busy,
            arrivals=drain.arrivals,
            capacity=drain.capacity,
            likely_seconds=_finite(drain.likely),
            soonest_seconds=_finite(drain.soonest),
            latest_seconds=_finite(drain.latest),
            is_never=is_never,
            threads_needed=drain.threads_needed,
        )
    )


def _finite(seconds: float | None) -> float | None:
    return None if seconds is None or math.isinf(seconds) else seconds
