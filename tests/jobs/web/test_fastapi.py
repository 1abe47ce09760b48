"""jobs.fastapi: the lifespan, the request's context, the mounted pages and the probes."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

import jobs
import jobs.fastapi
from jobs import boot
from jobs.definition import registry
from jobs.operations.access.tokens import create_token
from jobs.operations.access.users import create_user
from jobs.operations.audit.operator import Operator
from tests.waiting import wait_until

SHOP = """
from jobs import Job

class Deliver(Job):
    order: int
    def perform(self):
        return self.order * 2
"""
OURS = {"sec-fetch-site": "same-origin"}


@pytest.fixture(autouse=True)
def shop(tmp_path, monkeypatch) -> Iterator[None]:
    (tmp_path / "web_shop.py").write_text(SHOP)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("web_shop", None)
    registry.forget("Deliver")


@pytest.fixture
def unset(monkeypatch) -> None:
    """No App yet, as in a process that has just started."""
    monkeypatch.setattr(boot, "_app", None)


def who(request: Request) -> tuple[str, str] | None:
    """The application's own authentication."""
    role = request.headers.get("x-role")
    return (f"the {role}", role) if role else None


def make(url: str, *, worker: bool = False, **given: Any) -> FastAPI:
    api = FastAPI(lifespan=jobs.fastapi.lifespan(worker=worker, imports=["web_shop"], database_url=url))
    jobs.fastapi.install(api, who=who, **given)

    @api.post("/orders/{order}")
    async def place(order: int) -> str:
        from web_shop import Deliver

        return str((await Deliver(order=order).enqueue_async()).id)

    return api


def test_a_request_s_id_is_that_of_what_it_enqueues(sqlite_url, unset):
    with TestClient(make(sqlite_url)) as client:
        told = client.post("/orders/7", headers={"x-request-id": "order-7-by-ann"})
        assert told.headers["x-request-id"] == "order-7-by-ann"
        assert jobs.find(told.json()).correlation_id == "order-7-by-ann"
        made = client.post("/orders/8", headers={"x-request-id": "no id, but text"})
        assert jobs.find(made.json()).correlation_id == made.headers["x-request-id"] != "no id, but text"


def test_the_pages_are_open_to_users_that_the_application_names(sqlite_url, unset):
    with TestClient(make(sqlite_url, pages="/admin/jobs"), follow_redirects=False) as client:
        run = client.post("/orders/7").json()
        assert client.get("/admin/jobs/").status_code == 401

        overview = client.get("/admin/jobs/", headers={"x-role": "operator"})
        assert overview.status_code == 200
        assert "the operator" in overview.text
        links = re.findall(r'(?:href|src|action|hx-get)="(/[^"]*)"', overview.text)
        assert links
        assert all(one.startswith("/admin/jobs/") for one in links)
        for link in {one for one in links if "/static/" in one}:
            assert client.get(link).status_code == 200

        seen = client.get(f"/admin/jobs/runs/{run}", headers={"x-role": "operator"})
        assert "Deliver" in seen.text
        for place in ("sign-in", "sign-out", "account"):
            assert (
                client.get(f"/admin/jobs/{place}", headers={"x-role": "viewer"}).headers["location"] == "/admin/jobs/"
            )


def test_roles_and_forms_hold_where_the_pages_are_mounted(sqlite_url, unset):
    with TestClient(make(sqlite_url), follow_redirects=False) as client:
        client.post("/orders/7")
        form = {"what": "queue", "name": "default", "verb": "pause", "reason": "stock", "back": "/queues"}
        asked: dict[str, Any] = {"url": "/jobs/pauses", "data": form}
        assert client.post(**asked, headers={"x-role": "viewer", **OURS}).status_code == 403
        assert client.post(**asked, headers={"x-role": "operator", "sec-fetch-site": "cross-site"}).status_code == 403
        assert client.post(**asked, headers=OURS).status_code == 401
        done = client.post(**asked, headers={"x-role": "operator", **OURS})
        assert (done.status_code, done.headers["location"]) == (303, "/jobs/queues")
        entry = client.get("/jobs/audit", headers={"x-role": "admin"}).text
        assert "the operator" in entry


def test_probes_tell_of_the_ledger_and_metrics_are_not_for_everybody(sqlite_url, unset):
    with TestClient(make(sqlite_url, probes="/internal")) as client:
        shell = Operator("shell")
        create_user(boot.current(), shell, "ann", role="viewer", password="a long enough password")
        _, token = create_token(
            boot.current(), shell, user="ann", name="t", permissions=["runs:read"], lasts=timedelta(days=1)
        )
        assert client.get("/internal/healthz").json() == {"status": "ok"}
        assert client.get("/internal/readyz").status_code == 200
        assert client.get("/internal/metrics").status_code == 401
        assert client.get("/internal/metrics", headers={"authorization": "Bearer jl_none"}).status_code == 401
        for headers in ({"x-role": "viewer"}, {"authorization": f"Bearer {token}"}):
            assert "jobs_" in client.get("/internal/metrics", headers=headers).text


def test_readyz_says_why_there_is_no_ledger(tmp_path, unset):
    with TestClient(make(f"sqlite:///{tmp_path}/empty.db")) as client:
        answer = client.get("/readyz")

    assert answer.status_code == 503
    assert "no ledger" in answer.json()["problem"]


@pytest.mark.slow
def test_the_worker_runs_beside_the_application_and_ends_with_it(ledger_url, unset, monkeypatch):
    monkeypatch.setenv("JOBS_SHUTDOWN", "5s")
    api = make(ledger_url, worker=True)
    with TestClient(api) as client:
        run = client.post("/orders/7").json()
        assert wait_until(lambda: jobs.find(run).result == 14, seconds=60)
        process = api.state.jobs_worker
        assert process.is_alive()
        assert client.get("/readyz").status_code == 200

    assert not process.is_alive()


def test_a_worker_without_modules_is_refused(sqlite_url, unset):
    api = FastAPI(lifespan=jobs.fastapi.lifespan(worker=True, database_url=sqlite_url))

    with pytest.raises(jobs.errors.ConfigurationError, match="modules with jobs"), TestClient(api):
        pass
