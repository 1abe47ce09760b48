"""The API as an ASGI application: its routes, its guard, and how it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from admin_api import failing, prefix
from admin_api.guard import Guard
from admin_api.house import House
from admin_api.pages import site
from admin_api.routes import actions, audit, fleet, health, letters, people, runs, schedules, sessions, statistics
from jobs.app import App


def make_api(app: App) -> ASGIApp:
    """The whole, guarded: what a server runs."""
    settings = app.settings
    routes = make_routes(app)
    return Guard(
        routes, hosts=settings.api_hosts, is_behind_tls=settings.api_behind_tls, clock=app.clock,
        is_crowded=routes.state.house.doorway.is_full,
    )  # fmt: skip


def make_routes(app: App) -> FastAPI:
    """The routes alone; ``openapi()`` of it is the API's description."""
    house = House.over(app)

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(house.desk.close)
        await run_in_threadpool(house.doorway.close)
        await run_in_threadpool(house.figures.close)

    api = FastAPI(
        title="jobledger",
        summary="Background jobs you can account for.",
        version=_version(),
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,
        lifespan=lifespan,
    )
    api.state.house = house
    failing.install(api)
    for part in (health, sessions, runs, actions, letters, fleet, schedules, audit, statistics, people):
        prefix.install(api, part.router)
    site.install(api, house)
    return api


def _version() -> str:
    try:
        return version("jobledger")
    except PackageNotFoundError:
        return "0"
