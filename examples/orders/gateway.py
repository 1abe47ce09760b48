"""A payment gateway with real faults: it fails, it responds late, and it may charge and then not respond.

It recognises a repeated call by its ``Idempotency-Key``, and repeats its response. ``python gateway.py [PORT]``.
"""

from __future__ import annotations

import json
import random
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DECLINED = 5
"""Every fifth order's card is declined."""


class Book:
    """What the gateway has done: (what, order) in order, and its response by key."""

    def __init__(self, seed: int = 0) -> None:
        self.done: list[tuple[str, int]] = []
        self.answers: dict[str, tuple[int, dict[str, Any]]] = {}
        self.lock = threading.Lock()
        self.chance = random.Random(seed)

    def act(self, what: str, key: str, order: int) -> tuple[int, dict[str, Any]]:
        """The response to a call; each key takes effect once."""
        with self.lock:
            if key not in self.answers:
                if what == "charge" and order % DECLINED == 0:
                    self.answers[key] = 402, {"error": "declined"}
                else:
                    self.done.append((what, order))
                    self.answers[key] = 200, {"receipt": f"{what}-{order}"}
            return self.answers[key]


def serve(book: Book, port: int = 0) -> ThreadingHTTPServer:
    """A gateway on 127.0.0.1, running in a thread; ``server_port`` says where. Shut it down."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            luck = book.chance.random()
            if luck < 0.1:
                return self.answer(503, {"error": "busy"}, retry_after=1)
            status, said = book.act(self.path.strip("/"), self.headers["Idempotency-Key"], body["order"])
            if luck < 0.2:
                return None  # It is done, but the connection is closed without a response.
            return self.answer(status, said)

        def answer(self, status: int, said: dict[str, Any], *, retry_after: int | None = None) -> None:
            data = json.dumps(said).encode()
            self.send_response(status)
            if retry_after is not None:
                self.send_header("Retry-After", str(retry_after))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


if __name__ == "__main__":
    running = serve(Book(), int(sys.argv[1]) if len(sys.argv) > 1 else 8402)
    print(f"The gateway answers at http://127.0.0.1:{running.server_port}; press Enter to stop it.")
    input()
