"""One run: its state and the reason for it, its attempts, arguments, result and lineage."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from admin_api.http.state import CurrentState
from admin_api.pages.drawings.attempt_timeline import draw_attempts
from admin_api.pages.drawings.lineage import draw_lineage
from admin_api.pages.frame import template_filters
from admin_api.pages.frame.cacheable import cacheable
from admin_api.pages.frame.page_auth import Visitor
from admin_api.pages.frame.render import page
from admin_api.pages.frame.router import page_router
from jobs.definition.redaction import HIDDEN
from jobs.formats.short_id import short_id
from jobs.ledger.run_records import RunRecord
from jobs.operations.runs.detail import detail
from jobs.operations.runs.explain import explain_run
from jobs.operations.runs.logs import StoredLog, log_of_run
from jobs.operations.runs.signal import signals_of
from jobs.states import LIVE, RunState

router = page_router()


@router.get("/runs/{text}")
@cacheable
def show_run(request: Request, api_state: CurrentState, visitor: Visitor, text: str) -> Response:
    app, operator = api_state.app, visitor.operator
    seen = detail(app, operator, text)
    run = seen.run
    if text != str(run.id):
        return RedirectResponse(f"/runs/{run.id}", 303)
    why = explain_run(app, operator, run)
    now = app.clock.now()
    log = log_of_run(app, operator, run)
    return page(
        request,
        "run.html",
        identity=visitor,
        run=run,
        word=template_filters.word_of(run, now),
        why=why,
        evidence=[(name, _shown(value)) for name, value in why.evidence if value is not None],
        facts=_facts(run),
        seen=seen,
        timeline=draw_attempts(run, seen.attempts.items, now=now),
        log=log,
        log_text="\n".join(_log_lines(log)),
        lineage=draw_lineage(run, seen, now=now),
        signals=signals_of(app, operator, run.id).items,
        awaits=awaited(run),
        hidden=run.arguments == HIDDEN,
        is_live=run.state in LIVE,
        can_replay=run.state not in LIVE and run.deleted_at is None,
        commands=_commands(run),
        refreshes=True,
    )


def _log_lines(log: StoredLog) -> Iterator[str]:
    last = 0
    for one in log.lines:
        if one.number > last + 1:
            yield f"… {one.number - last - 1:,} lines are not kept"
        last = one.number
        source = "" if one.source == "run" else f" {one.source}:"
        yield f"{one.at:%H:%M:%S} {one.level}{source} {one.text}"


def awaited(run: RunRecord) -> str | None:
    """The name of the signal that the run waits for."""
    what, _, name = (run.held_on or "").partition(":")
    return name if what == "signal" else None


def _facts(run: RunRecord) -> list[tuple[str, object]]:
    """The facts that the rest of the page does not show."""
    every: list[tuple[str, object]] = [
        ("id", str(run.id)),
        ("queue", run.queue),
        ("attempts", f"{run.attempt}, charged {run.charged} of {run.max_attempts}"),
        ("cause", run.cause),
        ("crashes", run.crashes or None),
        ("lost", run.abandonments or None),
        ("due", template_filters.stamp(run.run_at) if run.finished_at is None else None),
        ("held on", run.held_on),
        ("held since", template_filters.stamp(run.held_at) if run.held_at else None),
        ("held until", template_filters.stamp(run.held_until) if run.held_until else None),
        ("expires", template_filters.stamp(run.expires_at) if run.finished_at is None and run.expires_at else None),
        ("worker", run.worker if run.lease_until else None),
        ("cancel asked", template_filters.stamp(run.cancel_requested_at) if run.cancel_requested_at else None),
        ("reason", run.cancel_reason),
        ("priority", run.priority or None),
        ("key", run.key),
        ("tags", ", ".join(map(str, run.tags)) if run.tags else None),
        ("created", template_filters.stamp(run.created_at)),
        ("started", template_filters.stamp(run.started_at) if run.started_at else None),
        ("finished", template_filters.stamp(run.finished_at) if run.finished_at else None),
        ("enqueued by", run.enqueued_by),
        ("schedule", run.schedule),
        ("slot", template_filters.stamp(run.scheduled_for) if run.scheduled_for else None),
        ("correlation", run.correlation_id),
        ("purged", template_filters.stamp(run.deleted_at) if run.deleted_at else None),
    ]
    return [(name, value) for name, value in every if value not in (None, "")]


def _shown(value: object) -> object:
    from datetime import datetime, timedelta

    if isinstance(value, datetime):
        return template_filters.stamp(value)
    return template_filters.span(value) if isinstance(value, timedelta) else value


def _commands(run: RunRecord) -> list[str]:
    """The equal commands."""
    short = short_id(run.id)
    said = [f"show {short}", f"why {short}", f"logs {short}"]
    if run.deleted_at is not None:
        said.append(f"restore {short}")
    elif run.state in LIVE:
        if (name := awaited(run)) is not None:
            said.append(f"signal {short} {shlex.quote(name)}")
        said.append(f"cancel {short}")
    else:
        state = "" if run.state is RunState.DEAD else f" --state {shlex.quote(run.state.value)}"
        said.append(f"replay {short}{state}")
    return said
