"""How long pages take over a million runs, while a worker runs at full load; and what that costs it.

``benchmarks.api`` does the same for the API's lists.

A worker of one process on queue ``bench``, and `jobledger api serve`, each a process of its own. First the worker
alone, then with so many requests a second, each page in its turn, then alone again.
"""

from __future__ import annotations

import argparse
import http.client
import time
from functools import partial
from urllib.parse import urlencode, urlsplit

import jobs
from benchmarks.kit.figures import Figures, program
from benchmarks.kit.modes import POSTGRESQL
from benchmarks.kit.places import places
from benchmarks.kit.requests import fill, measure, serving
from jobs import enqueue_many
from jobs.app import App
from jobs.ledger.selectors import Selector
from jobs.ledger.walk import count_up_to
from jobs.operations import inspect
from jobs.operations.operator import Operator
from jobs.operations.sign_in import make_link

LISTS = (
    "/", "/runs", "/runs?state=dead", "/runs?state=succeeded", "/runs?where=kind:Rare", "/runs?state=ready", "RUN",
    "/dead", "/errors", "/errors?since=7d", "/queues", "/workers", "/schedules", "/kinds", "/audit", "/health",
    "/users",
)  # fmt: skip


class Noop(jobs.Job, queue="bench", kind="bench.Noop"):
    a: int

    def perform(self) -> None:
        pass


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there, there.ledger(POSTGRESQL) as place:
        fill(place, given.runs)
        with serving(place) as base:
            headers = {"Cookie": _sign_in(place.app, base), "Accept": "text/html"}
            _feed(given.waiting)
            with place.command("worker", "--import", "benchmarks.web", JOBS_LOG_LEVEL="warning"):
                _speed(place.app, 5.0)
                speed = partial(_speed, place.app)
                measure("pages", place, base, _paths(place.app), headers, speed, given, figures)


def _sign_in(app: App, base: str) -> str:
    body = urlencode({"key": make_link(app, Operator("bench")).rpartition("=")[2]})
    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=20)
    headers = {"Origin": base, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/link", body, headers)
    answer = connection.getresponse()
    assert answer.status == 303, answer.read()
    return (answer.getheader("set-cookie") or "").partition(";")[0]


def _paths(app: App) -> dict[str, str]:
    """Where each page is, by its name in ``LISTS``."""
    dead = inspect.list_runs(app, Operator("bench"), Selector(states=("dead",)), limit=1).runs[0]
    return {one: f"/runs/{dead.id}" if one == "RUN" else one for one in LISTS}


def _feed(count: int) -> None:
    """More than the worker can do in the time."""
    for start in range(0, count, 20_000):
        enqueue_many([Noop(a=number) for number in range(start, start + 20_000)])


def _speed(app: App, seconds: float) -> float:
    """Runs of ours a second that ended while so much time went by."""
    began, before = time.monotonic(), _done(app)
    time.sleep(seconds)
    return (_done(app) - before) / (time.monotonic() - began)


def _done(app: App) -> int:
    with app.database.read() as connection:
        left = count_up_to(connection, Selector(queues=("bench",), states=("queued",)), most=10_000_000)
    assert left.number > 1000, "the worker has run out of work: --waiting"
    return -left.number


if __name__ == "__main__":
    program(
        "web",
        run,
        runs=(1_000_000, "in the ledger"),
        waiting=(1_200_000, "more, for the worker"),
        rate=(20.0, "requests a second"),
        seconds=(15.0, "of requests in each round"),
    )
