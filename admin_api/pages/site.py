"""Adds the pages, static files and error pages to the API's application."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from admin_api.http import prefix_route
from admin_api.http.state import ApiState
from admin_api.pages import stored_values
from admin_api.pages.frame import error_pages
from admin_api.pages.frame.cache_middleware import CacheMiddleware
from admin_api.pages.frame.render import STATIC
from admin_api.pages.views import (
    account,
    actions,
    audit,
    batches,
    breakers,
    effects,
    failure_groups,
    health,
    kinds,
    limits,
    overview,
    queues,
    run,
    runs,
    schedules,
    sign_in,
    signals,
    targets,
    users,
    workers,
)

PAGES = (
    sign_in, overview, runs, actions, run, signals, batches, stored_values, effects, failure_groups, queues, targets,
    limits, breakers, workers, schedules, kinds, audit, health, users, account,
)  # fmt: skip
A_YEAR = 365 * 86400


class _Static(StaticFiles):
    """Files with a content hash in their address, so that browsers cache them."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        answer = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        answer.headers["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
        return answer


def install(api: FastAPI, api_state: ApiState) -> None:
    """Add the pages to ``api``, outside its description."""
    error_pages.install(api)
    api.add_middleware(CacheMiddleware, api_state=api_state)
    for one in PAGES:
        prefix_route.install(api, one.router)
    api.mount("/static", _Static(directory=STATIC), name="static")
