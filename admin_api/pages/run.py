"""One run: why it is where it is, its attempts drawn, what it was given and gave, where it comes from."""

from __future__ import annotations

import shlex

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from admin_api.house import TheHouse
from admin_api.pages import words
from admin_api.pages.door import Visitor
from admin_api.pages.family import draw_family
from admin_api.pages.keep import keep
from admin_api.pages.render import page
from admin_api.pages.router import page_router
from admin_api.pages.tries import draw_tries
from jobs.ledger.records import RunRecord
from jobs.operations.detail import detail
from jobs.operations.explain import explain_run
from jobs.operations.inspect import HIDDEN
from jobs.states import LIVE, RunState

router = page_router()


@router.get("/runs/{text}")
@keep
def show_run(request: Request, house: TheHouse, visitor: Visitor, text: str) -> Response:
    app, operator = house.app, visitor.operator
    seen = detail(app, operator, text)
    run = seen.run
    if text != str(run.id):
        return RedirectResponse(f"/runs/{run.id}", 303)
    why = explain_run(app, operator, run)
    now = app.clock.now()
    return page(
        request,
        "run.html",
        identity=visitor,
        run=run,
        word=words.word_of(run, now),
        why=why,
        evidence=[(name, _shown(value)) for name, value in why.evidence if value is not None],
        facts=_facts(run),
        seen=seen,
        tries=draw_tries(run, seen.attempts.items, now=now),
        family=draw_family(run, seen, now=now),
        hidden=run.arguments == HIDDEN,
        is_live=run.state in LIVE,
        can_replay=run.state not in LIVE and run.deleted_at is None,
        commands=_commands(run),
        refreshes=True,
    )


def _facts(run: RunRecord) -> list[tuple[str, object]]:
    """What there is to say of it, without what is said elsewhere on the page."""
    every: list[tuple[str, object]] = [
        ("id", str(run.id)),
        ("queue", run.queue),
        ("tries", f"{run.attempt}, charged {run.charged} of {run.max_attempts}"),
        ("cause", run.cause),
        ("crashes", run.crashes or None),
        ("lost", run.abandonments or None),
        ("due", words.stamp(run.run_at) if run.finished_at is None else None),
        ("expires", words.stamp(run.expires_at) if run.finished_at is None and run.expires_at else None),
        ("worker", run.worker if run.lease_until else None),
        ("cancel asked", words.stamp(run.cancel_requested_at) if run.cancel_requested_at else None),
        ("reason", run.cancel_reason),
        ("priority", run.priority or None),
        ("key", run.key),
        ("tags", ", ".join(map(str, run.tags)) if run.tags else None),
        ("created", words.stamp(run.created_at)),
        ("started", words.stamp(run.started_at) if run.started_at else None),
        ("finished", words.stamp(run.finished_at) if run.finished_at else None),
        ("enqueued by", run.enqueued_by),
        ("schedule", run.schedule),
        ("slot", words.stamp(run.scheduled_for) if run.scheduled_for else None),
        ("correlation", run.correlation_id),
        ("purged", words.stamp(run.deleted_at) if run.deleted_at else None),
    ]
    return [(name, value) for name, value in every if value not in (None, "")]


def _shown(value: object) -> object:
    from datetime import datetime, timedelta

    if isinstance(value, datetime):
        return words.stamp(value)
    return words.span(value) if isinstance(value, timedelta) else value


def _commands(run: RunRecord) -> list[str]:
    """The same at the command line."""
    short = words.short(run.id)
    said = [f"show {short}", f"why {short}"]
    if run.deleted_at is not None:
        said.append(f"restore {short}")
    elif run.state in LIVE:
        said.append(f"cancel {short}")
    else:
        state = "" if run.state is RunState.DEAD else f" --state {shlex.quote(run.state.value)}"
        said.append(f"replay {short}{state}")
    return said
