"""Kinds: lists and shows the application's jobs, with a form to enqueue a run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from fastapi import HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from admin_api.http.state import CurrentState, Ledger
from admin_api.pages.frame import template_filters
from admin_api.pages.frame.argument_form import Field, arguments_of, read_fields
from admin_api.pages.frame.cacheable import cacheable
from admin_api.pages.frame.page_auth import Form, Visitor
from admin_api.pages.frame.render import page
from admin_api.pages.frame.router import page_router
from admin_api.pages.frame.run_query import term
from jobs.app import App
from jobs.errors import ArgumentsRefused, EnqueueRefused, JobsError, KeyConflict
from jobs.formats.duration import parse_duration
from jobs.operations.insight import kinds
from jobs.operations.runs.enqueue import enqueue_run

router = page_router()
A_PAGE = 100
SHOWN = ("queue", "priority", "timeout", "unique", "version", "isolated", "memory", "aliases", "schedules", "place")


@router.get("/kinds")
@cacheable
def show_kinds(request: Request, api_state: CurrentState, visitor: Visitor, after: str = "") -> Response:
    known = api_state.reports.kind_names(visitor.operator)
    found = kinds.list_kinds(api_state.app, visitor.operator, after=after, limit=A_PAGE + 1, known=known)
    return page(
        request,
        "kinds.html",
        identity=visitor,
        kinds=[(one, term("kind", one.name)) for one in found[:A_PAGE]],
        following=found[A_PAGE - 1].name if len(found) > A_PAGE else None,
    )


@router.get("/kinds/{name:path}")
def show_kind(request: Request, app: Ledger, visitor: Visitor, name: str) -> Response:
    return _kind_page(request, app, visitor, name)


@router.post("/kinds/{name:path}")
def enqueue(request: Request, app: Ledger, visitor: Visitor, name: str, form: Form) -> Response:
    """Enqueues a run and shows it; or the form again, with its mistakes."""
    definition = kinds.find_kind(app, visitor.operator, name).summary.definition
    if definition is None:
        raise HTTPException(422, "This server does not know the kind's job.")
    fields = read_fields(definition["arguments"], {}, form)
    if any(one.mistake for one in fields):
        return _kind_page(request, app, visitor, name, fields=fields, status=422)
    try:
        options = _options(form)
        done = enqueue_run(
            app, visitor.operator, definition["kind"], arguments_of(fields),
            reason=str(form.get("reason", "")).strip() or None, **options,
        )  # fmt: skip
    except (ArgumentsRefused, EnqueueRefused, KeyConflict) as error:
        return _kind_page(request, app, visitor, name, fields=fields, problem=error, status=422)
    return RedirectResponse(f"/runs/{done.id}", 303)


def _kind_page(
    request: Request,
    app: App,
    visitor: Visitor,
    name: str,
    *,
    fields: list[Field] | None = None,
    problem: JobsError | None = None,
    status: int = 200,
) -> Response:
    seen = kinds.find_kind(app, visitor.operator, name)
    definition = seen.summary.definition
    if fields is None and definition is not None:
        fields = read_fields(definition["arguments"], {})
    return page(
        request,
        "kind.html",
        identity=visitor,
        status=status,
        kind=seen.summary,
        runs=seen.runs,
        where=term("kind", seen.summary.name),
        definition=definition,
        facts=_facts(definition or {}),
        fields=fields or [],
        problem=problem,
        refreshes=False,
    )


def _options(form: Form) -> dict[str, Any]:
    """The other options of a run."""
    options: dict[str, Any] = {}
    if queue := str(form.get("queue", "")).strip():
        options["queue"] = queue
    if delay := str(form.get("delay", "")).strip():
        options["delay"] = _span(delay)
    return options


def _span(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise EnqueueRefused(f"{error}.") from None


def _facts(definition: Mapping[str, Any]) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name in (
        "queue",
        "priority",
        "timeout",
        "unique",
        "version",
        "isolated",
        "memory",
        "aliases",
        "schedules",
        "place",
    ):
        value = definition.get(name)
        if value in (None, False, [], ""):
            continue
        found.append((name, _span_text(value)))
    retry = definition.get("retry")
    if retry:
        first, cap = _span_text(retry["first"]), _span_text(retry["cap"])
        found.append(("attempts", f"{retry['max_attempts']}, first after {first}, at most {cap}"))
    return found


def _span_text(value: Any) -> object:
    if isinstance(value, timedelta):
        return template_filters.span(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else value
