"""An unknown effect resolved from the page of its run, and through the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

import jobs
from jobs import Job, RunState
from jobs.app import App
from jobs.definition import registry
from jobs.ledger.effects.steps import begin_effect
from tests.admin_api.pages.conftest import Browse
from tests.book import Book


class Pay(Job, kind="pages.Pay"):
    def perform(self) -> None: ...


@pytest.fixture
def run(app: App) -> Iterator[UUID]:
    """A dead run with a step whose effect is unknown."""
    book = Book(app.database)
    (held,) = book.claim(book.enqueue(kind="pages.Pay"), kinds=["pages.Pay"])
    with app.database.write() as connection:
        begin_effect(connection, held.run_id, held.token, "pay/card", attempt=1)
        died = "update job_runs set state = 'dead', cause = 'unknown_effect', token = null, lease_until = null, "
        connection.execute(text(died + "finished_at = run_at, worker = null"))
    yield held.run_id
    registry.forget("pages.Pay")


def test_the_page_of_a_run_leads_to_the_form_and_the_form_reopens_the_run(app: App, run: UUID, browse: Browse) -> None:
    client = browse("operator")
    shown = client.get(f"/runs/{run}").text
    assert f"/runs/{run}/resolve?step=pay%2Fcard" in shown
    assert "Did the step pay/card take place?" in client.get(f"/runs/{run}/resolve?step=pay%2Fcard").text

    form = {"step": "pay/card", "answer": "yes", "result": "receipt", "reason": "the bank has it"}
    wrong = client.post(f"/runs/{run}/resolve", data=form)
    assert (wrong.status_code, "The result is not JSON" in wrong.text) == (422, True)
    assert client.post(f"/runs/{run}/resolve", data={**form, "answer": ""}).status_code == 422
    done = client.post(f"/runs/{run}/resolve", data={**form, "result": '"receipt"'}, follow_redirects=False)

    assert (done.status_code, done.headers["location"]) == (303, f"/runs/{run}")
    assert (jobs.find(run).state, jobs.steps(run)[0].result) == (RunState.QUEUED, "receipt")
    again = client.post(f"/runs/{run}/resolve", data={**form, "result": "1"})
    assert (again.status_code, "has ended: it is not unknown" in again.text) == (409, True)


def test_a_viewer_sees_the_step_and_cannot_resolve_it(run: UUID, browse: Browse) -> None:
    client = browse("viewer")

    assert "/resolve" not in client.get(f"/runs/{run}").text
    assert client.get(f"/runs/{run}/resolve?step=pay%2Fcard").status_code == 403
    assert client.post(f"/runs/{run}/resolve", data={"step": "pay/card", "answer": "no"}).status_code == 403


def test_the_api_lists_unknown_effects_and_resolves_one(
    run: UUID, anyone: TestClient, sign_in: Callable[[str], dict[str, str]]
) -> None:
    client = anyone
    client.headers["Authorization"] = f"Bearer {sign_in('operator')['access_token']}"
    (effect,) = client.get("/v1/effects").json()["data"]
    assert (effect["run_id"], effect["step"], effect["effect"]) == (str(run), "pay/card", "unknown")

    body = {"step": "pay/card", "took_place": False, "reason": "asked"}
    answer = client.post(f"/v1/runs/{run}/resolutions", json=body)

    assert (answer.status_code, answer.json()["data"]["is_reopened"]) == (201, True)
    entry = client.get(answer.headers["location"]).json()["data"]
    assert (entry["verb"], entry["reason"], entry["state"]) == ("resolve", "asked", "finished")
    assert client.get("/v1/effects").json()["data"] == []
    assert client.post(f"/v1/runs/{run}/resolutions", json=body).status_code == 404
