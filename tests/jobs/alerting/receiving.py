"""Receivers of alerts, and what has been delivered to them."""

from __future__ import annotations

import base64
import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sqlalchemy import select

from jobs import Job, Retry
from jobs.alerting.delivery import QUEUE
from jobs.database.models import JobRun
from jobs.operations.audit.operator import Operator
from jobs.operations.control import alert_routes
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
