"""How long pages take over a million runs, while a worker runs at full load; and what that costs it.

``benchmarks.api`` does the same for the API's lists.

    python -m benchmarks.web [--runs 1000000] [--rate 20] [--seconds 40] [--rounds 2]

PostgreSQL with fsync on, a worker of one process on queue ``bench``, and `jobledger api serve`, each a process of its
own. First the worker alone, then with so many requests a second, each page in its turn. The aim is a p95 under 150 ms
for each, and a worker that loses at most 5 %.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

import jobs
from benchmarks.kit.modes import POSTGRESQL
from benchmarks.kit.places import places
from benchmarks.kit.requests import Took, fill, press, serving, show
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    alone, beside = [], []
    took: Took = defaultdict(list)
    with places() as there, there.ledger(POSTGRESQL) as place, ThreadPoolExecutor(1) as pool:
        fill(place, given.runs)
        with serving(place) as base:
            headers = {"Cookie": _sign_in(place.app, base), "Accept": "text/html"}
            paths = _paths(place.app)
            with place.command("worker", "--import", "benchmarks.web", JOBS_LOG_LEVEL="warning"):
                _feed()
                _speed(place.app, 5.0)
                for _ in range(given.rounds):
                    alone.append(_speed(place.app, given.seconds / 2))
                    asking = pool.submit(press, base, paths, headers, rate=given.rate, seconds=given.seconds)
                    beside.append(_speed(place.app, given.seconds))
                    for name, each in asking.result().items():
                        took[name] += each
    show(took, alone=statistics.mean(alone), beside=statistics.mean(beside))


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


def _feed() -> None:
    """More than the worker can do in the time."""
    for start in range(0, 400_000, 20_000):
        enqueue_many([Noop(a=number) for number in range(start, start + 20_000)])


def _speed(app: App, seconds: float) -> float:
    """Runs of ours a second that ended while so much time went by."""
    began, before = time.monotonic(), _done(app)
    time.sleep(seconds)
    return (_done(app) - before) / (time.monotonic() - began)


def _done(app: App) -> int:
    with app.database.read() as connection:
        left = count_up_to(connection, Selector(queues=("bench",), states=("queued",)), most=1_000_000)
    assert left.number > 1000, "the worker has run out of work: feed it more"
    return -left.number


if __name__ == "__main__":
    main()
