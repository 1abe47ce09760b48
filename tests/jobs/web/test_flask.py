"""jobs.flask: the request's context, the pages and the probes, and a worker beside the application."""

from __future__ import annotations

import re
from typing import Any

import flask
import pytest

import jobs
import jobs.flask
from jobs import boot
from tests.jobs.web.test_fastapi import OURS
from tests.jobs.web.test_fastapi import shop as shop
from tests.jobs.web.test_fastapi import unset as unset
from tests.waiting import wait_until


def who() -> tuple[str, str] | None:
    """The application's own authentication, in the request's context."""
    role = flask.request.headers.get("x-role")
    return (f"the {role}", role) if role else None


def make(url: str, **given: Any) -> flask.Flask:
    app = flask.Flask("shop")
    jobs.flask.install(app, who=who, database_url=url, **given)

    @app.post("/orders/<int:order>")
    def place(order: int) -> str:
        from web_shop import Deliver

        return str(Deliver(order=order).enqueue().id)

    return app


@pytest.fixture(autouse=True)
def closed(unset):
    yield
    if (app := boot.existing()) is not None:
        app.close()


def test_a_request_s_id_is_that_of_what_it_enqueues(sqlite_url):
    client = make(sqlite_url).test_client()

    told = client.post("/orders/7", headers={"X-Request-ID": "order-7-by-ann"})

    assert told.headers["x-request-id"] == "order-7-by-ann"
    assert jobs.find(told.text).correlation_id == "order-7-by-ann"


def test_the_pages_are_open_to_users_that_the_application_names(sqlite_url):
    client = make(sqlite_url, pages="/admin/jobs").test_client()
    run = client.post("/orders/7").text
    assert client.get("/admin/jobs/").status_code == 401

    overview = client.get("/admin/jobs/", headers={"X-Role": "operator"})
    assert overview.status_code == 200
    links = re.findall(r'(?:href|src|action|hx-get)="(/[^"]*)"', overview.text)
    assert links
    assert all(one.startswith("/admin/jobs/") for one in links)
    for link in {one for one in links if "/static/" in one}:
        assert client.get(link).status_code == 200
    assert "Deliver" in client.get(f"/admin/jobs/runs/{run}", headers={"X-Role": "viewer"}).text

    form = {"what": "queue", "name": "default", "verb": "pause", "reason": "stock", "back": "/queues"}
    asked: dict[str, Any] = {"path": "/admin/jobs/pauses", "data": form}
    assert client.post(**asked, headers={"X-Role": "viewer", **OURS}).status_code == 403
    assert client.post(**asked, headers={"X-Role": "operator", "sec-fetch-site": "cross-site"}).status_code == 403
    done = client.post(**asked, headers={"X-Role": "operator", **OURS})
    assert (done.status_code, done.headers["location"]) == (303, "/admin/jobs/queues")


def test_probes_tell_of_the_ledger_and_metrics_are_not_for_everybody(sqlite_url):
    client = make(sqlite_url, probes="/internal").test_client()

    assert client.get("/internal/healthz").json == {"status": "ok"}
    assert client.get("/internal/readyz").status_code == 200
    assert client.get("/internal/metrics").status_code == 401
    assert "jobs_" in client.get("/internal/metrics", headers={"X-Role": "viewer"}).text


@pytest.mark.slow
def test_the_worker_starts_with_the_first_request(sqlite_url, monkeypatch):
    monkeypatch.setenv("JOBS_SHUTDOWN", "5s")
    stops: list[Any] = []
    monkeypatch.setattr("jobs.flask.atexit.register", stops.append)
    client = make(sqlite_url, worker=True, imports=["web_shop"]).test_client()

    run = client.post("/orders/7").text

    assert wait_until(lambda: jobs.find(run).result == 14, seconds=60)
    (stop,) = stops
    stop()
    assert client.get("/readyz").status_code == 503
