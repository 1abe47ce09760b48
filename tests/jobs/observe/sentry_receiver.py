"""A server that receives what leaves for Sentry, and events that are sent there."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest

from jobs.events import AttemptEnded
from jobs.states import Outcome, RunState


class Receiver:
    """Takes envelopes as Sentry does."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        taken = self.raw

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                taken.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def dsn(self) -> str:
        return f"http://key@127.0.0.1:{self.server.server_address[1]}/7"

    def items(self, kind: str) -> list[dict[str, Any]]:
        found = []
        for body in list(self.raw):
            lines = body.split(b"\n")
            for header, payload in zip(lines[1::2], lines[2::2], strict=False):
                if json.loads(header)["type"] == kind:
                    found.append(json.loads(payload))
        return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def ended(outcome: Outcome, state: RunState, **more: Any) -> AttemptEnded:
    return AttemptEnded(
        **{
            "run_id": uuid4(),
            "kind": "Keeper",
            "queue": "mail",
            "attempt": 1,
            "outcome": outcome,
            "state": state,
            "cause": None,
            "started_at": datetime.now(UTC),
            "elapsed_seconds": 0.5,
            "waited_seconds": 0.1,
            "correlation_id": None,
            **more,
        }
    )
