"""HTTP endpoint for metrics and health, on a thread of its own. Answers GET of a few fixed paths."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from jobs.errors import ConfigurationError

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MEANWHILE_SECONDS = 15
"""Seconds between two calls of an endpoint's ``meanwhile``."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a path."""

    body: bytes
    status: int = 200
    type: str = METRICS_TYPE


Route = Callable[[], Answer]


def as_json(facts: Mapping[str, object], *, is_good: bool) -> Answer:
    """The answer of a probe: 200 or 503, with the facts in both cases."""
    return Answer(json.dumps(facts, default=str).encode() + b"\n", 200 if is_good else 503, "application/json")


class Endpoint:
    """An HTTP server. It listens once it is made; ``close`` ends it.

    Args:
        host: address to listen on: 127.0.0.1 unless the settings say otherwise.
        port: 0 takes any free one, which ``url`` shows.
        meanwhile: called now and then, on the serving thread.

    Raises:
        ConfigurationError: it cannot listen there.
    """

    def __init__(
        self, host: str, port: int, routes: Mapping[str, Route], *, meanwhile: Callable[[], None] | None = None
    ) -> None:
        try:
            self._server = _Server((host, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigurationError(
                f"Cannot serve metrics and health on {host}:{port}: {reason}.",
                hint="Choose another with JOBS_METRICS_HOST and JOBS_METRICS_PORT; port 0 takes any free one.",
            ) from error
        self._server.routes = dict(routes)
        self._server.meanwhile = meanwhile
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="jobs-endpoint", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(2)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 16
    routes: Mapping[str, Route]
    meanwhile: Callable[[], None] | None = None
    _rounds = 0

    def service_actions(self) -> None:
        # serve_forever calls it after each half second, and after each request.
        self._rounds += 1
        if self.meanwhile is not None and self._rounds % (2 * MEANWHILE_SECONDS) == 0:
            self.meanwhile()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10  # A silent client does not occupy a thread for ever.
    server_version = "jobledger"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        route = self.server.routes.get(path)
        if route is None:
            self._send(as_json({"error": "not found", "paths": sorted(self.server.routes)}, is_good=False), status=404)
            return
        try:
            answer = route()
        except Exception as error:
            self._send(as_json({"error": type(error).__name__}, is_good=False), status=500)
            return
        self._send(answer)

    do_HEAD = do_GET  # noqa: N815 - its name is the protocol's

    def log_message(self, format: str, *args: Any) -> None:
        """Do not log each scrape."""

    def _send(self, answer: Answer, *, status: int | None = None) -> None:
        self.send_response(status or answer.status)
        self.send_header("Content-Type", answer.type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
