"""A route that is skipped by its prefix would not have matched; below a mount point every route is found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from starlette.routing import Match

from admin_api.app import make_api, make_routes
from admin_api.http.prefix_route import PrefixRoute
from jobs.app import App
from tests.admin_api.route_table import A_RUN

ODD = (
    "", "/", "//", "/v1", "/v1/", "//v1/runs", "/V1/runs", "/v1/runs/", "/v1/runsX", "/v1/run", "/v1/runs/a/b",
    f"/runs/{A_RUN}/", "/healthz/", "/v1/queues/a/b/pause", "/v1/queues//pause", "/schedules/a\n", "/kinds/{name}",
)  # fmt: skip


def _routes(app: App) -> Iterator[PrefixRoute]:
    for one in make_routes(app).routes:
        if isinstance(one, APIRoute):
            assert isinstance(one, PrefixRoute), one.path
            yield one


@pytest.mark.parametrize("root", ["", "/jobs"])
def test_skipped_routes_would_not_have_matched(app: App, root: str) -> None:
    every = list(_routes(app))
    paths = {*ODD, *(one.path.replace("{id}", A_RUN) for one in every), *(one.path for one in every)}
    matched = 0
    for path in paths:
        for method in ("GET", "POST"):
            scope = {"type": "http", "method": method, "path": root + path, "root_path": root}
            for one in every:
                found = one.matches(scope)[0]
                assert found is APIRoute.matches(one, scope)[0], (one.path, path)
                matched += found is Match.FULL
    assert matched > len(every)


def test_under_another_application_the_api_is_found(app: App) -> None:
    outer = FastAPI()
    outer.mount("/jobs", make_api(app))
    with TestClient(outer, base_url="http://localhost") as client:
        assert client.get("/jobs/healthz").status_code == 200
        assert client.get("/jobs/v1/runs").status_code == 401
        assert client.get("/jobs/v1/nothing").status_code == 404
        assert client.get("/healthz").status_code == 404
