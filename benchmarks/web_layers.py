"""What each layer of the API process brings: the page cache, the cached reports, the own route class, the own protocol.

Each layer is measured with and without it, in turns, in one process over a SQLite ledger. Figures are of one request
after another, so they show the cost of a request and not the behaviour under load, which ``benchmarks.web`` measures.

    python -m benchmarks.web_layers
"""

from __future__ import annotations

import argparse
import http.client
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI
from fastapi.routing import APIRoute
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from admin_api.app import make_api
from admin_api.http import route
from admin_api.http.envelope import Envelope
from admin_api.http.page_cache import PageCache
from admin_api.http.protocol import HEAD_SECONDS, LimitedProtocol
from admin_api.main import listen, url_of
from admin_api.shapes.runs import Run
from benchmarks.kit.figures import Figures, program
from benchmarks.kit.fill import fill_ledger
from benchmarks.kit.modes import SQLITE
from benchmarks.kit.places import places
from benchmarks.web import sign_in
from jobs.app import App
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.insight.cached_reports import CachedReports
from jobs.operations.runs import inspect

PAGES = ("/", "/runs", "/queues", "/errors")
HALF = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there, there.ledger(SQLITE) as place:
        fill_ledger(place.app.database, given.runs)
        for _ in range(given.repeats):
            _measure_caches(place.app, given, figures)
            _measure_route(place.app, given, figures)
            for name, protocol in (("our protocol", LimitedProtocol), ("uvicorn's protocol", HttpToolsProtocol)):
                left = _half_open_left(place.app, protocol, given.half_open)
                figures.add(f"half-open connections left after {HEAD_SECONDS + 2:.0f} s", name, "connections", left)


def _measure_caches(app: App, given: argparse.Namespace, figures: Figures) -> None:
    def direct(self: CachedReports, operator: Operator, key: Any, fresh: Any, make: Callable[[], Any]) -> Any:
        return make()

    no_pages = patch.object(PageCache, "find", lambda self, key: None)
    no_reports = patch.object(CachedReports, "_get", direct)
    with served(make_api(app), LimitedProtocol) as base:
        headers = {"Cookie": sign_in(app, base), "Accept": "text/html"}
        for page in PAGES:
            figures.add(f"page {page}", "both caches", "ms", ask(base, page, headers, given.requests))
            with no_pages:
                figures.add(f"page {page}", "no page cache", "ms", ask(base, page, headers, given.requests))
                with no_reports:
                    figures.add(f"page {page}", "no cache", "ms", ask(base, page, headers, given.requests // 10))


def _measure_route(app: App, given: argparse.Namespace, figures: Figures) -> None:
    found = inspect.list_runs(app, Operator("bench"), Selector(), limit=50).runs
    envelope = Envelope(data=[Run.of(one, app.clock.now()) for one in found])

    def list_runs() -> Envelope[list[Run]]:
        return envelope

    for name, kind in (("our route class", route.Route), ("FastAPI's route class", APIRoute)):
        api = FastAPI()
        api.router.route_class = kind
        api.add_api_route("/v1/runs", list_runs, methods=["GET"])
        with served(api, LimitedProtocol) as base:
            figures.add("a list of 50 runs as JSON", name, "ms", ask(base, "/v1/runs", {}, given.requests))


@contextmanager
def served(api: Any, protocol: type[Any]) -> Iterator[str]:
    """Serve ``api`` on a thread; gives the URL."""
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(
        api, log_config=None, access_log=False, http=protocol, ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def ask(base: str, path: str, headers: dict[str, str], count: int) -> float:
    """The median milliseconds of ``count`` requests, one after another on one connection."""
    took = []
    with closing(http.client.HTTPConnection(urlsplit(base).netloc, timeout=60)) as connection:
        for _ in range(max(5, count)):
            began = time.perf_counter()
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, (path, answer.status)
            took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def _half_open_left(app: App, protocol: type[Any], count: int) -> int:
    """How many of ``count`` connections that sent half a head are open some seconds after the limit for heads."""
    with served(make_api(app), protocol) as base:
        place = urlsplit(base)
        clients = [socket.create_connection((place.hostname, place.port)) for _ in range(count)]
        for client in clients:
            client.sendall(HALF)
            client.setblocking(False)
        time.sleep(HEAD_SECONDS + 2)
        left = sum(_is_open(client) for client in clients)
        for client in clients:
            client.close()
    return left


def _is_open(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b"?"  # A client that got an answer, or an end, is done.
    except BlockingIOError:
        return True


if __name__ == "__main__":
    program(
        "web_layers",
        run,
        runs=(50_000, "in the ledger"),
        requests=(300, "of each address"),
        half_open=(100, "connections that send half a head"),
    )
