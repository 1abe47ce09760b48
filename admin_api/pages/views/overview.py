"""The overview: alerts, counts by state, throughput and latencies."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response

from admin_api.http.state import CurrentState
from admin_api.pages.drawings.minute_bars import draw_minutes
from admin_api.pages.frame.cacheable import cacheable
from admin_api.pages.frame.page_auth import Visitor
from admin_api.pages.frame.render import link, page, part
from admin_api.pages.frame.router import page_router
from admin_api.pages.frame.run_query import term
from jobs.operations.insight.alerts import Alert

router = page_router()
KINDS_SHOWN = 10


@router.get("/")
@cacheable
def show_overview(request: Request, api_state: CurrentState, visitor: Visitor) -> Response:
    operator, figures = visitor.operator, api_state.reports
    series = figures.throughput(operator)
    latencies = figures.latencies(operator)
    return page(
        request,
        "overview.html",
        identity=visitor,
        alerts=[(one, _place(one)) for one in figures.alerts(operator)],
        counts=figures.counts(operator),
        oldest=figures.oldest(operator),
        chart=draw_minutes(series.minutes),
        is_capped=series.is_capped,
        succeeded=sum(one.succeeded for one in series.minutes),
        failed=sum(one.failed for one in series.minutes),
        latencies=latencies[:KINDS_SHOWN],
        more_latencies=max(0, len(latencies) - KINDS_SHOWN),
    )


def _place(one: Alert) -> str:
    """The page with more about an alert."""
    subject = one.subject or ""
    match one.code:
        case "no_worker":
            return "/workers"
        case "unserved" | "late":
            what = "kind" if one.is_of_kind else "queue"
            return link("/runs", where=term(what, subject), state="ready")
        case "burning":
            what = "kind" if one.is_of_kind else "queue"
            return link("/runs", where=term(what, subject), state="dead")
        case "dead":
            return link("/runs", where=f"fingerprint:{subject}", state="dead") if subject else "/dead"
        case "lost":
            return link("/runs", state="running")
        case "broken_schedule":
            return f"/schedules/{part(subject)}"
        case "no_scheduler":
            return "/schedules"
        case "paused":
            return "/kinds" if one.command.startswith("kinds") else "/queues"
    return "/"
