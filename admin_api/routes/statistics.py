"""Statistics: the ledger at a glance."""

from __future__ import annotations

from fastapi import APIRouter

from admin_api.http.access import By
from admin_api.http.envelope import Envelope
from admin_api.http.route import Route
from admin_api.http.state import CurrentState
from admin_api.shapes.base import Count
from admin_api.shapes.fleet import Latency, Minute, Oldest, Statistics
from jobs.operations.control import workers

router = APIRouter(prefix="/v1/statistics", tags=["statistics"], route_class=Route)


@router.get("", summary="Show the ledger at a glance")
def read_statistics(api_state: CurrentState, by: By) -> Envelope[Statistics]:
    """Counts by state, the oldest run of each state, throughput per minute, latencies by kind."""
    figures = api_state.reports
    series, live = figures.throughput(by), workers.list_workers(api_state.app, by)
    return Envelope(
        data=Statistics(
            counts={word: Count.of(count) for word, count in figures.counts(by).items()},
            oldest=Oldest.model_validate(figures.oldest(by)),
            ended_in_5m={state.value: number for state, number in figures.ended(by).items()},
            workers=len(live),
            threads=sum(one.threads for one in live),
            busy=sum(one.busy for one in live),
            throughput=[Minute.model_validate(one) for one in series.minutes],
            throughput_is_capped=series.is_capped,
            latencies=[Latency.model_validate(one) for one in figures.latencies(by)],
        )
    )
