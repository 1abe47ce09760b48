"""Response times of the pages over a million runs beside a worker at full load, and what they cost the worker.

``benchmarks.api`` does the same for the API's lists.

The pages are of a process of their own, as `jobledger api serve` runs it. The worker alone and beside requests, in
turns.
"""

from __future__ import annotations

import argparse
import http.client
from urllib.parse import urlencode, urlsplit

from benchmarks.kit.figures import Figures, program
from benchmarks.kit.modes import FLEET
from benchmarks.kit.places import places
from benchmarks.kit.requests import OPTIONS, fill, measure, serving
from jobs.app import App
from jobs.ledger.queries.selectors import Selector
from jobs.operations.access.sign_in import make_link
from jobs.operations.audit.operator import Operator
from jobs.operations.runs import inspect

LISTS = (
    "/", "/runs", "/runs?state=dead", "/runs?state=succeeded", "/runs?where=kind:Rare", "/runs?state=ready", "RUN",
    "/dead", "/errors", "/errors?since=7d", "/queues", "/workers", "/schedules", "/kinds", "/audit", "/health",
    "/users",
)  # fmt: skip


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there, there.ledger(FLEET) as place:
        fill(place, given.runs)
        with serving(place) as base:
            headers = {"Cookie": sign_in(place.app, base), "Accept": "text/html"}
            measure("pages", place, base, _paths(place.app), headers, given, figures)


def sign_in(app: App, base: str) -> str:
    """The cookie of a signed-in operator."""
    body = urlencode({"key": make_link(app, Operator("bench")).rpartition("=")[2]})
    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=20)
    headers = {"Origin": base, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/link", body, headers)
    answer = connection.getresponse()
    assert answer.status == 303, answer.read()
    return (answer.getheader("set-cookie") or "").partition(";")[0]


def _paths(app: App) -> dict[str, str]:
    """The address of each page, by its name in ``LISTS``."""
    dead = inspect.list_runs(app, Operator("bench"), Selector(states=("dead",)), limit=1).runs[0]
    return {one: f"/runs/{dead.id}" if one == "RUN" else one for one in LISTS}


if __name__ == "__main__":
    program("web", run, waiting=(1_000_000, "more, for the worker"), **OPTIONS)
