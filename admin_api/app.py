"""Builds the ASGI application: routes, guard, error responses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from admin_api.http import error_responses, prefix_route
from admin_api.http.guard import Guard
from admin_api.http.state import ApiState
from admin_api.pages import site
from admin_api.routes import (
    actions,
    alerts,
    audit,
    batches,
    breakers,
    callbacks,
    dead_letters,
    effects,
    fleet,
    health,
    limits,
    runs,
    scale,
    schedules,
    sessions,
    statistics,
    storage,
    targets,
    users,
)
from jobs.app import App


def make_api(app: App) -> ASGIApp:
    """The complete ASGI application with its guard, for a server to run."""
    settings = app.settings
    routes = make_routes(app)
    return Guard(
        routes, hosts=settings.api_hosts, is_behind_tls=settings.api_behind_tls, clock=app.clock,
        is_crowded=routes.state.api_state.doorway.is_full,
    )  # fmt: skip


def make_routes(app: App) -> FastAPI:
    """The routes without the guard; its ``openapi()`` is the API's description."""
    api_state = ApiState.over(app)

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(api_state.background_tasks.close)
        await run_in_threadpool(api_state.doorway.close)
        await run_in_threadpool(api_state.reports.close)

    api = FastAPI(
        title="jobledger",
        summary="Background jobs you can account for.",
        version=_version(),
        # FastAPI's documentation pages load scripts from other sites.
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,
        lifespan=lifespan,
    )
    api.state.api_state = api_state
    error_responses.install(api)
    parts = (
        health, callbacks, sessions, runs, batches, effects, actions, dead_letters, fleet, limits, breakers, schedules,
        audit, statistics, storage, alerts, scale, targets, users,
    )  # fmt: skip
    for part in parts:
        prefix_route.install(api, part.router)
    site.install(api, api_state)
    return api


def _version() -> str:
    try:
        return version("jobledger")
    except PackageNotFoundError:
        return "0"
