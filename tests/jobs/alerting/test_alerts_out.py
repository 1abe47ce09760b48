"""Alerts out: told once each, signed, in the order of their group, with one id, and only to checked addresses."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socketserver
import threading
from datetime import timedelta
from typing import Any

import pytest

from jobs.alerting.guard import AddressGuard, NotDelivered
from jobs.alerting.post import post
from jobs.alerting.serving import with_alerts
from jobs.alerting.watch import enqueue_messages
from jobs.errors import Conflict
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.runs.purge import hide
from jobs.operations.control import alert_routes
from jobs.operations.runs.inspect import list_runs
from jobs.states import Cause, Outcome, RunState
from jobs.testing import Ledger
from tests.jobs.alerting.receiving import ADA, MINUTE, SECRET, AlertedFailure, Receiver, add, deliveries


def test_a_message_that_is_tried_again_keeps_its_id_and_is_signed_anew(ledger: Ledger, receiver: Receiver) -> None:
    add(ledger, receiver)
    ledger.perform(AlertedFailure())
    receiver.answers = [(500, {}), (429, {"Retry-After": "7"})]

    assert (enqueue_messages(ledger.app), enqueue_messages(ledger.app)) == (1, 0)
    (run,) = deliveries(ledger)
    outcomes = [ledger.perform(run.id).outcome]
    ledger.advance(MINUTE)
    outcomes.append(ledger.perform(run.id).outcome)
    ledger.advance(timedelta(seconds=8))
    outcomes.append(ledger.perform(run.id).outcome)

    assert outcomes == [Outcome.FAILED, Outcome.FAILED, Outcome.SUCCEEDED]
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {f"msg_{run.id}"}
    assert len({headers["webhook-timestamp"] for headers, _ in receiver.got}) == 3
    for headers, body in receiver.got:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        digest = hmac.new(b"a key of thirty-two bytes, nearly", signed, hashlib.sha256).digest()
        assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    (message,) = {json.dumps(one) for one in receiver.messages()}
    told = json.loads(message)
    assert (told["type"], told["data"]["code"], told["data"]["sequence"]) == ("alert.firing", "dead", 1)
    assert "1 of AlertedFailure is dead: ValueError" in told["data"]["sentence"]
    assert "4711" not in message
    assert "declined" not in message


def test_a_group_is_told_in_order_of_what_changed_and_of_its_end(ledger: Ledger, receiver: Receiver) -> None:
    add(ledger, receiver, group=10 * MINUTE)
    first = ledger.perform(AlertedFailure()).run
    assert enqueue_messages(ledger.app) == 1
    ledger.perform(AlertedFailure())
    assert enqueue_messages(ledger.app) == 0, "within the time of the group"
    ledger.advance(11 * MINUTE)
    assert enqueue_messages(ledger.app) == 1
    one, two = deliveries(ledger)

    with pytest.raises(Conflict):
        ledger.perform(two.id)  # It waits until the first has ended.
    receiver.answers = [(500, {})]
    ledger.perform(one.id)
    with pytest.raises(Conflict):
        ledger.perform(two.id)
    ledger.advance(MINUTE)
    ledger.perform(one.id)
    ledger.perform(two.id)
    dead = list_runs(ledger.app, ADA, Selector(states=("dead",))).runs
    with ledger.app.database.write() as connection:
        hide(connection, [run.id for run in dead])
    ledger.advance(11 * MINUTE)
    assert (enqueue_messages(ledger.app), enqueue_messages(ledger.app)) == (1, 0)
    ledger.drain()

    told = [(one["type"], one["data"]["sequence"], one["data"]["sentence"][:4]) for one in receiver.messages()]
    assert told == [
        ("alert.firing", 1, "1 of"),
        ("alert.firing", 1, "1 of"),
        ("alert.firing", 2, "2 of"),
        ("alert.resolved", 3, "2 of"),
    ]
    assert len({one["data"]["fingerprint"] for one in receiver.messages()}) == 1
    assert first.id in {run.id for run in dead}


def test_a_receiver_that_answers_410_is_told_nothing_more_until_it_is_added_again(
    ledger: Ledger, receiver: Receiver
) -> None:
    add(ledger, receiver)
    ledger.perform(AlertedFailure())
    receiver.answers = [(410, {})]
    enqueue_messages(ledger.app)

    performed = ledger.perform(deliveries(ledger)[0].id)

    assert (performed.run.state, performed.run.cause) == (RunState.DEAD, Cause.GAVE_UP)
    (route,) = alert_routes.list_routes(ledger.app, ADA)
    assert "410" in str(route.disabled_why)
    assert with_alerts(ledger.app, ["mail"]) == (["mail"], False)
    ledger.perform(AlertedFailure())
    assert enqueue_messages(ledger.app) == 0
    with pytest.raises(Conflict, match="disabled"):
        alert_routes.send_test(ledger.app, ADA, "webhook")
    add(ledger, receiver)
    assert enqueue_messages(ledger.app) == 1


@pytest.mark.parametrize("sends", [b"", b"HTTP/1.1 200 OK\r\nX: "], ids=["hangs", "sends without end"])
def test_a_receiver_that_does_not_answer_in_time_is_left(sends: bytes) -> None:
    over = threading.Event()

    class Slow(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(sends)
            while sends and not over.wait(0.01):
                self.request.sendall(b"x")
            over.wait(10)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Slow) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        with pytest.raises(NotDelivered, match=r"longer than 0\.2 s"):
            post(url, b"{}", {}, guard=AddressGuard(["127.0.0.0/8"]), limit_seconds=0.2)
        over.set()
        server.shutdown()


def test_a_missing_secret_sends_nothing(
    ledger: Ledger, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.delenv("JOBS_ALERT_SECRET")
    add(ledger, receiver)
    run_id = alert_routes.send_test(ledger.app, ADA, "webhook")

    performed = ledger.perform(run_id)

    assert (performed.outcome, receiver.got) == (Outcome.FAILED, [])
    assert "JOBS_ALERT_SECRET is not set" in str(performed.run.error_message)
    (tmp_path / "secret").write_text(SECRET + "\n")
    monkeypatch.setenv("JOBS_ALERT_SECRET_FILE", str(tmp_path / "secret"))
    ledger.advance(MINUTE)
    assert ledger.perform(run_id).outcome is Outcome.SUCCEEDED
    assert receiver.messages()[0]["type"] == "alert.test"
