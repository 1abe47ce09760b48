"""Queues: lists, pauses and resumes them, limits their waiting runs, and says how long their ended runs are kept."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from admin_api.http.state import CurrentState, Ledger
from admin_api.pages.frame.cacheable import cacheable
from admin_api.pages.frame.form_values import parsed_if_given
from admin_api.pages.frame.page_auth import Form, Visitor, local_path
from admin_api.pages.frame.render import page
from admin_api.pages.frame.router import page_router
from admin_api.pages.frame.run_query import term
from admin_api.pages.frame.template_filters import span
from jobs.forecast.drain_text import drain_text
from jobs.forecast.scale import Scale
from jobs.formats.duration import parse_duration
from jobs.formats.percent import format_percent
from jobs.operations.control import pause as pausing
from jobs.operations.control import retention as retaining
from jobs.operations.control import waiting_limits
from jobs.operations.control.retain_time import format_retain_time, parse_retain_time
from jobs.operations.insight.forecast import Forecast, forecasts, scale_of
from jobs.operations.insight.queues import QueueSummary, RetentionSummary, look_at
from jobs.operations.insight.targets import TargetSummary, find_target
from jobs.states import RunState
from jobs.targets.budget_text import burn_rates_text, burning_text

router = page_router()
MOST = 200
RETAINED = (RunState.SUCCEEDED, RunState.CANCELLED, RunState.DEAD)
MORE_THREADS = 8
"""The threads more that a queue's page asks about: those of one process, by default."""


@router.get("/queues")
@cacheable
def show_queues(request: Request, api_state: CurrentState, visitor: Visitor, after: str = "") -> Response:
    found = [one for one in api_state.reports.queues(visitor.operator) if one.name > after][:MOST]
    return page(
        request,
        "queues.html",
        identity=visitor,
        queues=[(one, term("queue", one.name)) for one in found],
        following=found[-1].name if len(found) == MOST else None,
    )


@router.get("/forecasts")
@cacheable
def show_forecasts(request: Request, api_state: CurrentState, visitor: Visitor) -> Response:
    """The queue that takes longest first."""
    found = forecasts(api_state.app, visitor.operator)
    worst = sorted(found, key=lambda one: (-(one.drain.likely or 0.0), one.queue))
    return page(
        request,
        "forecasts.html",
        identity=visitor,
        forecasts=[(one, drain_text(one.drain)) for one in worst[:MOST]],
        left_out=max(0, len(worst) - MOST),
    )


@router.get("/queues/{name:path}")
@cacheable
def show_queue(request: Request, api_state: CurrentState, visitor: Visitor, name: str) -> Response:
    """A queue: its runs by state, when its backlog is gone, its target, and how long its ended runs are kept."""
    app, operator = api_state.app, visitor.operator
    seen = look_at(app, operator, name)
    (forecast,) = forecasts(app, operator, queue=name, more_threads=MORE_THREADS)
    return page(
        request,
        "queue.html",
        identity=visitor,
        queue=seen,
        where=term("queue", name),
        forecast=_forecast_pairs(forecast, scale_of(app, operator, name)),
        retention=_retention_pairs(seen.retention),
        target=_target_pairs(seen, find_target(app, operator, "queue", name)),
    )


@router.get("/pauses/new")
def ask_pause(request: Request, app: Ledger, visitor: Visitor, what: str, name: str, verb: str = "pause") -> Response:
    """Asks for a reason and a duration."""
    _check(what, verb)
    back = "/queues" if what == "queue" else "/kinds"
    return page(request, "pause.html", identity=visitor, what=what, name=name, verb=verb, back=back, refreshes=False)


@router.post("/pauses")
def pause_or_resume(app: Ledger, visitor: Visitor, form: Form) -> Response:
    what, name, verb = str(form.get("what")), str(form.get("name")), str(form.get("verb"))
    _check(what, verb)
    reason = str(form.get("reason", "")).strip() or None
    if verb == "pause":
        pausing.pause(
            app, visitor.operator, what, name, reason=reason, span=parsed_if_given(parse_duration, form.get("for"))
        )
    else:
        pausing.resume(app, visitor.operator, what, name, reason=reason)
    return RedirectResponse(local_path(str(form.get("back", "/queues"))), 303)


@router.get("/waiting-limits/new")
def ask_waiting_limit(request: Request, app: Ledger, visitor: Visitor, name: str) -> Response:
    """Asks for a number and a reason."""
    seen = look_at(app, visitor.operator, name)
    return page(request, "waiting_limit.html", identity=visitor, queue=seen, refreshes=False)


@router.post("/waiting-limits")
def set_or_clear_waiting_limit(app: Ledger, visitor: Visitor, form: Form) -> Response:
    """An empty number removes the limit."""
    name, reason = str(form.get("name")), str(form.get("reason", "")).strip() or None
    text = str(form.get("most", "")).strip()
    if not text:
        waiting_limits.clear_waiting_limit(app, visitor.operator, name, reason=reason)
    elif text.isascii() and text.isdigit() and len(text) <= 10:
        waiting_limits.limit_waiting(app, visitor.operator, name, most=int(text), reason=reason)
    else:
        raise HTTPException(422, "How many runs may wait is a whole number from 1.")
    return RedirectResponse("/queues", 303)


@router.get("/retentions/new")
def ask_retention(request: Request, app: Ledger, visitor: Visitor, name: str) -> Response:
    """Asks for a time for each state, and a reason."""
    seen = look_at(app, visitor.operator, name)
    return page(
        request, "retention.html", identity=visitor, queue=seen, now=_retention_pairs(seen.retention), refreshes=False
    )


@router.post("/retentions")
def set_or_clear_retention(app: Ledger, visitor: Visitor, form: Form) -> Response:
    """Without a time, all is cleared."""
    name, reason = str(form.get("name")), str(form.get("reason", "")).strip() or None
    given = {state: parsed_if_given(parse_retain_time, form.get(state.value)) for state in RETAINED}
    times = {state: time for state, time in given.items() if time is not None}
    if times:
        retaining.retain_queue(app, visitor.operator, name, times, reason=reason)
    else:
        retaining.clear_retention(app, visitor.operator, name, reason=reason)
    return RedirectResponse("/queues", 303)


def _retention_pairs(found: Iterable[RetentionSummary]) -> list[tuple[str, object]]:
    return [
        (one.state.capitalize(), f"{format_retain_time(one.seconds)}{', set by an operator' if one.is_set else ''}")
        for one in found
    ]


def _forecast_pairs(found: Forecast, scale: Scale) -> list[tuple[str, object]]:
    rate = found.drain.capacity
    return [
        ("Gone in", drain_text(found.drain)),
        (f"With {found.more_threads} more threads", drain_text(found.with_more)),
        ("Comes", f"{found.drain.arrivals:.2f} runs a second"),
        ("Can end", "not known yet" if rate is None else f"{rate:.2f} runs a second"),
        ("Threads", f"{found.threads:,}, of which {found.busy:,} are busy"),
        ("Threads that keep up", "not known yet" if found.drain.threads_needed is None else found.drain.threads_needed),
        ("Worker processes", f"{scale.workers:,}; {scale.workers_wanted:,} are wanted: {scale.reason}"),
    ]


def _target_pairs(seen: QueueSummary, target: TargetSummary) -> list[tuple[str, object]]:
    by = "" if seen.is_target_set else ", by JOBS_LATENCY_TARGET"
    pairs: list[tuple[str, object]] = [("A ready run waits", f"{span(seen.target_seconds)} at most{by}")]
    if target.budget is None:
        return [*pairs, ("Runs that succeed", "no target")]
    return [
        *pairs,
        ("Runs that succeed", format_percent(target.budget.success)),
        ("Error budget left", f"{target.budget.left:,.0%} of that of 28 days"),
        ("Burn rates", burn_rates_text(target.budget)),
        ("Burns", burning_text(target.budget)),
    ]


def _check(what: str, verb: str) -> None:
    if what not in ("queue", "kind") or verb not in ("pause", "resume"):
        raise HTTPException(404)
