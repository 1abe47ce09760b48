"""Single changes from a page: enqueue, pause, a target, a limit, undo."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from jobs.app import App
from jobs.ledger.queries.find import find_run
from jobs.operations.audit.actions import find_action, list_actions
from tests.admin_api.pages import filled
from tests.admin_api.pages.conftest import Browse
from tests.admin_api.pages.views.full_ledger import ROOT
from tests.admin_api.pages.views.full_ledger import full as full
from tests.admin_api.pages.views.full_ledger import kinds_as_they_were as kinds_as_they_were


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


def test_a_queue_gets_a_retention_and_loses_it_again(app: App, full: filled.Places, browse: Browse) -> None:
    client = browse("operator")
    assert "set by an operator" not in client.get("/retentions/new?name=mail").text

    form = {"name": "mail", "succeeded": "90d", "dead": "never", "reason": "as the law says"}
    assert client.post("/retentions", data=form).headers["location"] == "/queues"
    assert client.get("/queues/mail").text.count(", set by an operator") == 2
    assert client.post("/retentions", data={**form, "dead": "soon"}).status_code == 422
    assert client.post("/retentions", data={**form, "name": "nosuch"}).status_code == 404
    client.post("/retentions", data={**form, "succeeded": "", "dead": "clear"})
    assert client.get("/queues/mail").text.count(", set by an operator") == 1
    client.post("/retentions", data={"name": "mail", "reason": "over"})

    assert list_actions(app, ROOT, limit=1)[0]["verb"] == "clear_retention"


def test_an_action_is_undone_from_its_page(app: App, full: filled.Places, browse: Browse) -> None:
    client = browse("operator")
    assert "Undo" in client.get(f"/audit/{full.action}").text

    answer = client.post(f"/audit/{full.action}/undo", data={"reason": "too early"})

    assert find_action(app, ROOT, answer.headers["location"].rpartition("/")[2])[0]["verb"] == "undo"
    assert client.post(f"/audit/{full.action}/undo", data={"reason": "again"}).status_code == 409
