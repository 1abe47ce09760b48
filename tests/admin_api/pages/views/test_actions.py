"""Actions from a page: a plan first, with a reason, and only on the runs of the plan."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from jobs import boot
from jobs.app import App
from jobs.definition import registry
from jobs.ledger.queries.find import find_run, list_runs
from jobs.operations.audit.actions import find_action, list_actions
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk import batches
from jobs.settings import Settings
from jobs.states import RunState
from tests.admin_api.pages import filled
from tests.admin_api.pages.conftest import Browse
from tests.admin_cli import world
from tests.book import Book
from tests.conftest import MakeApp
from tests.waiting import wait_until

ROOT = Operator("root@desk")


@pytest.fixture(autouse=True)
def kinds_as_they_were() -> Iterator[None]:
    known = set(registry.kinds())
    yield
    for kind in set(registry.kinds()) - known:
        registry.forget(kind)


@pytest.fixture(scope="module")
def filled_ledger(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, filled.Places]:
    """A filled ledger that each test copies: to fill one takes hundreds of transactions."""
    path = Path(shutil.copy(sqlite_template, tmp_path_factory.mktemp("filled") / "jobs.db"))
    app = boot.build(Settings.read(database_url=f"sqlite:///{path}"))
    with pytest.MonkeyPatch.context() as patch, closing(app):
        patch.setattr(boot, "_app", app)
        return path, filled.fill(app)


@pytest.fixture
def full(app: App, filled_ledger: tuple[Path, filled.Places]) -> filled.Places:
    from tests.admin_api.pages.shop import ChargeCard

    registry.register(ChargeCard, kind="shop.ChargeCard")
    filled.copy_into(app, filled_ledger[0])
    return filled_ledger[1]


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


def test_one_is_enqueued_from_the_form_of_its_kind(app: App, full: filled.Places, browse: Browse) -> None:
    client = browse("operator")
    page = client.get("/kinds/shop.ChargeCard")
    assert 'name="arg.order_id"' in page.text
    assert "The order&#39;s number." in page.text

    wrong = client.post("/kinds/shop.ChargeCard", data={"arg.order_id": ""})
    right = client.post("/kinds/shop.ChargeCard", data={"arg.order_id": "9", "arg.card": "ok", "delay": "1h"})

    assert wrong.status_code == 422
    new = right.headers["location"].rpartition("/")[2]
    with app.database.read() as connection:
        run = find_run(connection, UUID(new))
    assert run is not None
    assert run.arguments["order_id"] == 9
    assert run.run_at - run.created_at > timedelta(minutes=59)
    assert list_actions(app, ROOT, limit=1)[0]["verb"] == "enqueue"


def test_a_queue_is_paused_and_resumed_with_a_reason(app: App, full: filled.Places, browse: Browse) -> None:
    client = browse("operator")
    form = {"what": "queue", "name": "mail", "verb": "pause", "reason": "provider is down", "for": "1h"}

    assert client.post("/pauses", data=form).headers["location"] == "/queues"
    assert "provider is down" in client.get("/queues").text
    assert client.post("/pauses", data={**form, "for": "soon"}).status_code == 422
    client.post("/pauses", data={"what": "queue", "name": "mail", "verb": "resume", "reason": "it is back"})

    assert list_actions(app, ROOT, limit=1)[0]["reason"] == "it is back"


def test_a_queue_gets_a_target_and_loses_it_again(app: App, full: filled.Places, browse: Browse) -> None:
    client = browse("operator")
    assert "by JOBS_LATENCY_TARGET" in client.get("/targets/new?name=mail").text

    form = {"name": "mail", "latency": "30s", "reason": "promised"}
    assert client.post("/targets", data=form).headers["location"] == "/queues"
    assert "Now: 30s." in client.get("/targets/new?name=mail").text
    assert client.post("/targets", data={**form, "latency": "1.5s"}).status_code == 422
    assert client.post("/targets", data={**form, "name": "nosuch"}).status_code == 404
    client.post("/targets", data={**form, "latency": "", "success": "99.5%"})
    assert "Now: 30s. 99.5% of its runs shall succeed." in client.get("/targets/new?name=mail").text
    assert "99.5%" in client.get("/targets").text
    shown = client.get("/queues/mail").text
    assert "Error budget left" in shown
    assert "are wanted: " in shown
    assert "mail" in client.get("/forecasts").text
    assert client.get("/queues/nosuch").status_code == 404
    assert client.post("/targets", data={**form, "success": "most"}).status_code == 422
    assert client.get("/targets/new?name=mail&what=worker").status_code == 404
    client.post("/targets", data={**form, "latency": ""})

    assert list_actions(app, ROOT, limit=1)[0]["verb"] == "clear_target"


def test_a_queue_gets_a_limit_of_waiting_runs_and_loses_it_again(app: App, full: filled.Places, browse: Browse) -> None:
    client = browse("operator")
    assert "Now: no limit." in client.get("/waiting-limits/new?name=mail").text

    form = {"name": "mail", "most": "5000", "reason": "slow"}
    assert client.post("/waiting-limits", data=form).headers["location"] == "/queues"
    assert "at most 5,000 may wait" in client.get("/queues").text
    assert client.post("/waiting-limits", data={**form, "most": "5²"}).status_code == 422
    client.post("/waiting-limits", data={**form, "most": ""})

    assert list_actions(app, ROOT, limit=1)[0]["verb"] == "clear_waiting_limit"


def test_an_action_is_undone_from_its_page(app: App, full: filled.Places, browse: Browse) -> None:
    client = browse("operator")
    assert "Undo" in client.get(f"/audit/{full.action}").text

    answer = client.post(f"/audit/{full.action}/undo", data={"reason": "too early"})

    assert find_action(app, ROOT, answer.headers["location"].rpartition("/")[2])[0]["verb"] == "undo"
    assert client.post(f"/audit/{full.action}/undo", data={"reason": "again"}).status_code == 409


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
