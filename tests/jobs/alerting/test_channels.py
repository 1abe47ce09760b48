"""Slack and e-mail get alerts in their own forms; receivers are changed on record."""

from __future__ import annotations

import json
import socketserver
import threading
from typing import Any

import pytest

from jobs.alerting.delivery import QUEUE
from jobs.alerting.serving import with_alerts
from jobs.alerting.watch import enqueue_messages
from jobs.definition.redaction import HIDDEN
from jobs.errors import Conflict, Forbidden, NotFound, SelectorRefused, ServiceDown
from jobs.operations.audit.actions import list_actions
from jobs.operations.audit.operator import ROLES, Operator
from jobs.operations.bulk.undo import plan_undo, undo
from jobs.operations.control import alert_routes
from jobs.states import Outcome
from jobs.testing import Ledger
from tests.jobs.alerting.receiving import ADA, SECRET, AlertedFailure, Receiver, add


def test_slack_gets_its_own_form_and_its_url_is_never_stored(
    ledger: Ledger, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBS_ALERT_URL_SLACK", receiver.url)
    with pytest.raises(SelectorRefused, match="secret"):
        alert_routes.add_route(ledger.app, ADA, "slack", topics=["dead"], target="https://hooks.slack.com/x")
    with pytest.raises(SelectorRefused, match="no variable"):
        alert_routes.add_route(ledger.app, ADA, "slack", topics=["dead"], target_env="JOBS_DATABASE_URL")
    alert_routes.add_route(ledger.app, ADA, "slack", topics=["dead"], target_env="JOBS_ALERT_URL_SLACK")
    ledger.perform(AlertedFailure())
    enqueue_messages(ledger.app)
    ledger.drain()

    ((headers, body),) = receiver.got
    assert json.loads(body)["text"].startswith(":warning: 1 of AlertedFailure is dead: ValueError")
    assert "webhook-signature" not in headers


def test_an_email_is_given_to_the_mail_server_once_with_the_id_of_its_message(ledger_url: str) -> None:
    lines: list[str] = []

    class Smtp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            is_data = False
            for raw in self.rfile:
                line = raw.decode().rstrip("\r\n")
                lines.append(line)
                if is_data:
                    is_data = line != "."
                    if not is_data:
                        self.wfile.write(b"250 taken\r\n")
                elif line.lower() == "data":
                    is_data = True
                    self.wfile.write(b"354 go on\r\n")
                elif line.lower() == "quit":
                    self.wfile.write(b"221 bye\r\n")
                    return
                else:
                    self.wfile.write(b"250 ok\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Smtp) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"smtp+plain://127.0.0.1:{server.server_address[1]}"
        with Ledger(ledger_url, alert_smtp_url=url) as ledger:
            alert_routes.add_route(ledger.app, ADA, "email", topics=["dead"], target="ops@example.com")
            run_id = alert_routes.send_test(ledger.app, ADA, "email")
            assert ledger.perform(run_id).outcome is Outcome.SUCCEEDED
        server.shutdown()

    assert "Subject: jobledger: Problem: This is a test, sent by ada@desk." in lines
    assert f"Message-ID: <msg_{run_id}@jobledger.invalid>" in lines
    assert any(line.upper().startswith("RCPT TO:<OPS@EXAMPLE.COM>") for line in lines)


def test_receivers_are_changed_by_those_who_may_on_record_and_undone(ledger: Ledger, receiver: Receiver) -> None:
    viewer = Operator("grace", permissions=ROLES["viewer"])
    add(ledger, receiver, reason="on call")
    assert [one.target for one in alert_routes.list_routes(ledger.app, viewer)] == [HIDDEN]
    for act in (alert_routes.remove_route, alert_routes.send_test):
        with pytest.raises(Forbidden):
            act(ledger.app, viewer, "webhook")
    with pytest.raises(Conflict):
        add(ledger, receiver)
    with pytest.raises(NotFound):
        alert_routes.remove_route(ledger.app, ADA, "pager")

    alert_routes.remove_route(ledger.app, ADA, "webhook", reason="left")
    removal, adding = list_actions(ledger.app, ADA)
    assert (removal["verb"], adding["verb"], adding["reason"]) == ("remove_alert", "add_alert", "on call")
    assert SECRET not in json.dumps(adding, default=str)
    undo(ledger.app, ADA, plan_undo(ledger.app, ADA, str(removal["id"])))
    assert [one.name for one in alert_routes.list_routes(ledger.app, ADA)] == ["webhook"]


@pytest.mark.parametrize(
    ("queues", "served"),
    [((), ()), (("mail",), ["mail", QUEUE]), (("mail:3", "bulk:1"), ["mail:3", "bulk:1", f"{QUEUE}:1"])],
)
def test_a_worker_serves_the_queue_of_alerts_once_there_is_a_receiver(
    ledger: Ledger, receiver: Receiver, queues: Any, served: Any
) -> None:
    assert with_alerts(ledger.app, queues) == (queues, False)
    add(ledger, receiver)
    assert with_alerts(ledger.app, queues) == (served, True)


def test_a_worker_starts_while_the_ledger_is_down(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_down(session: Any) -> bool:
        raise ServiceDown("The ledger does not answer.")

    monkeypatch.setattr("jobs.alerting.serving.has_routes", is_down)

    assert with_alerts(ledger.app, ["mail"]) == (["mail"], False)
