"""The site: every page, the static files, and how pages fail, put on the API's application."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from admin_api import prefix
from admin_api.house import House
from admin_api.pages import (
    account,
    actions,
    audit,
    failing,
    groups,
    health,
    kinds,
    overview,
    queues,
    run,
    runs,
    schedules,
    signing,
    users,
    workers,
)
from admin_api.pages.front import Front
from admin_api.pages.render import STATIC

PAGES = (
    signing, overview, runs, actions, run, groups, queues, workers, schedules, kinds, audit, health, users,
    account,
)  # fmt: skip
A_YEAR = 365 * 86400


class _Static(StaticFiles):
    """Files whose address holds what they hold, so that a browser keeps them."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        answer = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        answer.headers["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
        return answer


def install(api: FastAPI, house: House) -> None:
    """Put the pages on ``api``; its description does not name them."""
    failing.install(api)
    api.add_middleware(Front, house=house)
    for one in PAGES:
        prefix.install(api, one.router)
    api.mount("/static", _Static(directory=STATIC), name="static")
