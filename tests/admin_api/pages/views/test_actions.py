"""Actions from a page: a plan first, with a reason, and only on the runs of the plan."""

from __future__ import annotations

import re
from uuid import UUID

import pytest

from jobs.app import App
from jobs.ledger.queries.find import find_run, list_runs
from jobs.operations.audit.actions import find_action, list_actions
from jobs.operations.bulk import batches
from jobs.states import RunState
from tests.admin_api.pages import filled
from tests.admin_api.pages.conftest import Browse
from tests.admin_api.pages.views.full_ledger import ROOT
from tests.admin_api.pages.views.full_ledger import full as full
from tests.admin_api.pages.views.full_ledger import kinds_as_they_were as kinds_as_they_were
from tests.admin_cli import world
from tests.book import Book
from tests.conftest import MakeApp
from tests.waiting import wait_until


def state(app: App, run_id: object) -> RunState:
    with app.database.read() as connection:
        run = find_run(connection, run_id)  # type: ignore[arg-type]
    assert run is not None
    return run.state


def test_a_plan_shows_how_many_and_which_and_changes_nothing(app: App, full: filled.Places, browse: Browse) -> None:
    answer = browse("operator").get("/actions/new", params={"verb": "replay", "state": "dead"})

    assert "Replay 3 runs" in answer.text
    assert "nothing has been changed" in answer.text
    assert "jobledger replay --state dead --expect 3" in re.sub(r"<[^>]+>", "", answer.text)
    assert state(app, full.run) is RunState.DEAD


def test_the_shown_plan_is_performed_and_the_audit_has_who_and_why(
    app: App, full: filled.Places, browse: Browse
) -> None:
    form = {"verb": "replay", "state": "dead", "expect": "3", "reason": "card service is back"}

    answer = browse("operator").post("/actions", data=form)

    action_id = answer.headers["location"].rpartition("/")[2]
    action, _ = find_action(app, ROOT, action_id)
    assert (action["verb"], action["actor"], action["reason"], action["done"]) == (
        "replay", "the-operator", "card service is back", 3,
    )  # fmt: skip
    assert state(app, full.run) is RunState.QUEUED


def test_only_ticked_runs_are_changed(app: App, full: filled.Places, browse: Browse) -> None:
    form = {"verb": "purge", "id": [str(full.run)], "state": "dead", "where": "kind:*", "expect": "1", "reason": "x"}

    answer = browse("operator").post("/actions", data=form)

    assert answer.headers["location"] == f"/runs/{full.run}"
    with app.database.read() as connection:
        assert len(list_runs(connection, states=[RunState.DEAD])) == 2


def test_a_number_that_has_changed_shows_the_plan_again_and_does_nothing(
    app: App, full: filled.Places, browse: Browse
) -> None:
    answer = browse("operator").post("/actions", data={"verb": "replay", "state": "dead", "expect": "7", "reason": "x"})

    assert answer.status_code == 409
    assert "3 runs match, and 7 were expected" in answer.text
    assert state(app, full.run) is RunState.DEAD


@pytest.mark.parametrize("expect", ["", "-1", "1e3", "9" * 40, "x"])
def test_a_form_without_the_number_that_was_shown_is_refused(
    app: App, full: filled.Places, browse: Browse, expect: str
) -> None:
    form = {"verb": "replay", "state": "dead", "expect": expect, "reason": "x"}

    assert browse("operator").post("/actions", data=form).status_code == 400
    assert state(app, full.run) is RunState.DEAD


def test_many_are_done_in_the_background_and_the_audit_shows_how_far(
    app: App, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    from admin_api.pages.views import actions

    monkeypatch.setattr(actions, "BATCH", 5)
    monkeypatch.setattr(batches, "BATCH", 5)
    book = Book(app.database)
    for _ in range(12):
        book.enqueue(kind="Mail")

    answer = browse("operator").post(
        "/actions", data={"verb": "cancel", "where": "kind:Mail", "expect": "12", "reason": "ordered twice"}
    )

    where = answer.headers["location"]
    assert wait_until(lambda: find_action(app, ROOT, where.rpartition("/")[2])[0]["state"] == "finished", seconds=60)
    assert find_action(app, ROOT, where.rpartition("/")[2])[0]["done"] == 12
    assert "Cancel" in browse("operator").get(where).text


def test_other_arguments_make_a_new_run_and_stay_out_of_addresses(
    app: App, full: filled.Places, browse: Browse
) -> None:
    client = browse("operator")
    form = {"arg.order_id": "77", "arg.card": "ok", "arg.currency": "USD", "arg.express": "false", "arg.notes": "[]"}

    shown = client.post(f"/runs/{full.known}/replay", data=form)
    assert shown.status_code == 200
    changes = re.search(r'name="changes" value="([^"]*)"', shown.text)
    assert changes is not None
    said = changes.group(1).replace("&#34;", '"')
    assert said == '{"card": "ok", "currency": "USD", "express": false, "notes": []}'

    done = client.post(
        "/actions",
        data={"verb": "replay", "id": str(full.known), "state": "dead", "changes": said, "expect": "1", "reason": "x"},
    )
    new = done.headers["location"].rpartition("/")[2]
    with app.database.read() as connection:
        run = find_run(connection, UUID(new))
    assert run is not None
    assert run.arguments == {"order_id": 77, "card": "ok", "currency": "USD", "express": False, "notes": []}
    assert run.replayed_from == full.known
    assert state(app, full.known) is RunState.DEAD


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("order_id", "seven", "This is not a number."),
        ("notes", "[1,", "This is not JSON"),
        ("currency", "GBP", "currency"),
    ],
)
def test_an_invalid_argument_is_marked_beside_its_field(
    app: App, full: filled.Places, browse: Browse, field: str, text: str, said: str
) -> None:
    answer = browse("operator").post(f"/runs/{full.known}/replay", data={f"arg.{field}": text})

    assert answer.status_code == 422
    assert said in answer.text


WRITES = {
    "/actions": {"verb": "replay", "state": "dead", "expect": "3", "reason": "x"},
    "/pauses": {"what": "queue", "name": "mail", "verb": "pause", "reason": "x"},
    "/targets": {"name": "mail", "latency": "30s", "reason": "x"},
    "/stops": {"name": world.WORKER, "reason": "x"},
    "/kinds/shop.ChargeCard": {"arg.order_id": "1"},
    "/schedules/heartbeat/acts/run": {"reason": "x"},
    f"/audit/{world.ACTION}/undo": {"reason": "x"},
    "/users": {"name": "eve", "password": "a long enough password", "role": "admin"},
    "/users/grace": {"what": "disable", "reason": "x"},
    "/users/grace/tokens": {"token": "t", "days": "1", "permission": "runs:read"},
}


@pytest.mark.parametrize("path", WRITES)
def test_a_viewer_can_change_nothing_and_sees_no_buttons(
    app: App, full: filled.Places, browse: Browse, path: str
) -> None:
    client = browse("viewer")
    before = len(list_actions(app, ROOT, limit=500))

    answer = client.post(path, data=WRITES[path])

    assert answer.status_code in (403, 422), answer.text
    assert len(list_actions(app, ROOT, limit=500)) == before


def test_in_read_only_mode_no_page_changes_anything_and_each_says_so(
    app: App, full: filled.Places, sqlite_url: str, make_app: MakeApp, browse: Browse
) -> None:
    client = browse("admin", over=make_app(sqlite_url, api_read_only=True))
    before = len(list_actions(app, ROOT, limit=500))

    for path, form in WRITES.items():
        assert client.post(path, data=form).status_code in (403, 422), path
    text = client.get("/runs").text

    assert "read only" in text
    assert 'name="verb"' not in text
    assert len(list_actions(app, ROOT, limit=500)) == before


def test_a_viewer_sees_no_arguments_results_or_words_of_errors(app: App, full: filled.Places, browse: Browse) -> None:
    client = browse("viewer")

    for path in ("/", "/runs", "/dead", f"/runs/{full.run}", "/errors?since=7d"):
        text = client.get(path).text
        assert "insufficient funds" not in text, path
        assert "declined&#34;" not in text, path
    assert "Your role does not show arguments" in client.get(f"/runs/{full.run}").text


def test_a_running_action_is_stopped_from_its_page(app: App, browse: Browse) -> None:
    from uuid import uuid4

    from jobs.ledger.operators import audit

    action_id = uuid4()
    with app.database.write() as connection:
        audit.begin(connection, action_id, verb="cancel", actor="ada", target="runs", expected=1000)
    client = browse("operator")
    page = client.get(f"/audit/{action_id}").text
    assert "<progress" in page
    assert f'action="/audit/{action_id}/stop"' in page

    answer = client.post(f"/audit/{action_id}/stop", data={"x": "1"})

    assert answer.status_code == 303
    assert find_action(app, ROOT, str(action_id))[0]["state"] == "interrupted"
    assert client.post(f"/audit/{action_id}/stop", data={"x": "1"}).status_code == 409


@pytest.mark.parametrize("changes", ["{", "[]", "nul", "[" * 100_000], ids=["open", "list", "word", "deep"])  # K2.18
def test_changes_that_cannot_be_parsed_are_a_bad_request(changes: str, full: filled.Places, browse: Browse) -> None:
    form = {"verb": "replay", "id": str(full.known), "state": "dead", "expect": "1", "reason": "x"}

    answer = browse("operator").post("/actions", data={**form, "changes": changes})

    assert answer.status_code == 400
