"""Renders templates; for a refresh, only the part that changes."""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from admin_api.http.state import api_state_of
from admin_api.pages.frame import template_filters
from jobs.operations.access.sign_in import Identity
from jobs.operations.audit.operator import Operator, Permission

HERE = Path(__file__).resolve().parents[2]
STATIC, TEMPLATES = HERE / "static", HERE / "templates"
THEMES = ("auto", "light", "dark")
THEME_COOKIE = "jobledger-theme"
PLACES = (
    ("/", "Overview"),
    ("/runs", "Runs"),
    ("/dead", "Dead letters"),
    ("/errors", "Errors"),
    ("/batches", "Batches"),
    ("/queues", "Queues"),
    ("/limits", "Limits"),
    ("/workers", "Workers"),
    ("/schedules", "Schedules"),
    ("/kinds", "Kinds"),
    ("/audit", "Audit"),
    ("/health", "Health"),
    ("/users", "Users"),
)
_NEEDS = {"/audit": Permission.AUDIT_READ, "/users": Permission.USERS_WRITE}


def page(
    request: Request, template: str, *, identity: Identity | None = None, status: int = 200, **shown: Any
) -> HTMLResponse:
    """The response. ``shown`` has the template's values; ``identity`` is the signed-in visitor, if any."""
    app = api_state_of(request).app
    now = app.clock.now()
    operator = identity.operator if identity is not None else None
    text = environment().get_template(template).render(
        {
            "now": now,
            "ago": lambda moment: template_filters.ago(moment, now),
            "word_of": lambda run: template_filters.word_of(run, now),
            "operator": operator,
            "may": (lambda permission: operator is not None and operator.may(Permission(permission))),
            "places": _places(operator),
            "here": _here(request.url.path),
            "address": address_of(request),
            "theme": theme_of(request),
            "is_read_only": app.settings.api_read_only,
            "is_part": is_part(request),
            "refreshes": True,
            "needs_reason": app.settings.require_reason,
            "status": status,
            **shown,
        }
    )  # fmt: skip
    # Otherwise a form would send no Origin, which page_auth checks.
    headers = {"Referrer-Policy": "same-origin", "Vary": "HX-Request, Cookie"}
    return HTMLResponse(text, status, headers)


def _here(path: str) -> str:
    """The navigation entry of a page."""
    first = "/" + path.strip("/").partition("/")[0]
    others = {"/actions": "/runs", "/pauses": "/queues", "/targets": "/queues", "/forecasts": "/queues",
              "/breakers": "/limits", "/stops": "/workers", "/stored": "/runs"}  # fmt: skip
    return others.get(first, first)


def is_part(request: Request) -> bool:
    """Whether the request is a refresh of the part that changes."""
    return request.headers.get("hx-request") == "true"


def theme_of(request: Request) -> str:
    theme = request.cookies.get(THEME_COOKIE, "auto")
    return theme if theme in THEMES else "auto"


def address_of(request: Request) -> str:
    """The path and query of this page, as a link."""
    query = request.url.query
    return quote(request.url.path) + (f"?{query}" if query else "")


def link(path: str, **given: Any) -> str:
    """``path`` with a query of the given values; skips None and empty values, and repeats the name for lists."""
    said = {name: value for name, value in given.items() if value not in (None, "", [], ())}
    query = urlencode(said, doseq=True, quote_via=_quoted)
    return f"{path}?{query}" if query else path


# Cached: a list has hundreds of links with the same few values.
_quoted = lru_cache(maxsize=1024)(quote_plus)


def part(text: str) -> str:
    """A name escaped as one segment of a path."""
    return quote(text, safe="")


@cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=template_filters.plain,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(template_filters.FILTERS, part=part)
    made.globals.update(link=link, static=_static)
    return made


@cache
def _static(name: str) -> str:
    """The address of a static file; it changes when the content changes."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def _places(operator: Operator | None) -> list[tuple[str, str]]:
    if operator is None:
        return []
    return [one for one in PLACES if one[0] not in _NEEDS or operator.may(_NEEDS[one[0]])]
