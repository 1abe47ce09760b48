"""Alerts out: told once each, signed, in the order of their group, with one id, and only to checked addresses."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import select

from jobs import Job, Retry
from jobs.alerting.delivery import KIND, QUEUE, register
from jobs.alerting.guard import AddressGuard, NotDelivered, TargetRefused
from jobs.alerting.post import post
from jobs.alerting.serving import with_alerts
from jobs.alerting.watch import enqueue_messages
from jobs.database.models import JobRun
from jobs.definition import registry
from jobs.definition.redaction import HIDDEN
from jobs.errors import Conflict, Forbidden, NotFound, SelectorRefused, ServiceDown
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.runs.purge import hide
from jobs.operations.audit.actions import list_actions
from jobs.operations.audit.operator import ROLES, Operator
from jobs.operations.bulk.undo import plan_undo, undo
from jobs.operations.control import alert_routes
from jobs.operations.runs.inspect import list_runs
from jobs.states import Cause, Outcome, RunState
from jobs.testing import Ledger

ADA = Operator("ada@desk")
SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, nearly").decode()
MINUTE = timedelta(minutes=1)


class Receiver:
    """A real HTTP server that records what it gets and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status, headers = outer.answers.pop(0) if outer.answers else (204, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *given: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/in"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def ledger(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setenv("JOBS_ALERT_SECRET", SECRET)
    with Ledger(ledger_url, alert_networks="127.0.0.0/8") as ledger:
        yield ledger


@pytest.fixture(autouse=True)
def kind() -> Iterator[None]:
    register()
    yield
    registry.forget(KIND)


class AlertedFailure(Job, retry=Retry(max_attempts=1)):
    secret: str = "4711-personal"

    def perform(self) -> None:
        raise ValueError(f"card {self.secret} declined")


def add(ledger: Ledger, receiver: Receiver, **given: Any) -> None:
    group = given.pop("group", timedelta(0))
    topics = given.pop("topics", ["dead"])
    alert_routes.add_route(ledger.app, ADA, "webhook", topics=topics, target=receiver.url, group=group, **given)


def deliveries(ledger: Ledger) -> list[Any]:
    query = select(JobRun.id, JobRun.state, JobRun.hold, JobRun.cause).where(JobRun.queue == QUEUE).order_by(JobRun.id)
    with ledger.app.database.read() as connection:
        return list(connection.execute(query))


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


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    inner = Receiver()
    receiver.answers = [(302, {"Location": inner.url})]
    with pytest.raises(NotDelivered, match="redirects are not followed"):
        post(receiver.url, b"{}", {}, guard=AddressGuard(["127.0.0.0/8"])).check()
    inner.server.shutdown()
    inner.server.server_close()

    assert (len(receiver.got), inner.got) == (1, [])


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


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[2002:7f00:1::]/",
        "https://[fd00::1]/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://100.64.0.1/",
        "http://93.184.216.34/",
        "https://user:word@example.com/",
        "ftp://example.com/",
        "https:///path",
        "https://example.com:0/",
        "https://exa mple.com/",
        "file:///etc/passwd",
    ],
)
def test_an_address_that_is_not_public_is_refused_when_it_is_given(ledger: Ledger, url: str) -> None:
    with pytest.raises(TargetRefused):
        AddressGuard().check_url(url)
    if "127.0.0.1" not in url and "7f00" not in url:  # This ledger allows that network.
        with pytest.raises(SelectorRefused):
            alert_routes.add_route(ledger.app, ADA, "webhook", topics=["dead"], target=url)


def test_a_name_is_resolved_once_and_all_its_addresses_are_checked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def resolve(*addresses: str) -> Callable[..., Any]:
        def getaddrinfo(host: str, port: int, *rest: Any, **more: Any) -> Any:
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

        return getaddrinfo

    port = receiver.server.server_port
    monkeypatch.setattr(socket, "getaddrinfo", resolve("127.0.0.1"))
    assert post(f"http://hooks.test:{port}/", b"{}", {}, guard=AddressGuard(["127.0.0.0/8"])).status == 204
    assert asked == ["hooks.test"]
    monkeypatch.setattr(socket, "getaddrinfo", resolve("93.184.216.34", "10.0.0.1"))
    with pytest.raises(TargetRefused, match=r"10\.0\.0\.1"):
        post("https://rebinding.test/", b"{}", {}, guard=AddressGuard())


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
