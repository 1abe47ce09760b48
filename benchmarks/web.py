"""How long pages and API lists take over a million runs, while a worker runs at full load; and what that costs it.

    python -m benchmarks.web [--runs 1000000] [--rate 20] [--seconds 40]

PostgreSQL with fsync on, a worker of one process on queue ``bench``, and `jobledger api serve`, each a process of its
own. First the worker alone, then with so many requests a second, each page in its turn; an open loop: a late answer
does not hold up the next request. The aim is a p95 under 150 ms for each, and a worker that loses at most 5 %.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode, urlsplit

import jobs
from jobs import boot, enqueue_many, schema
from jobs.app import App
from jobs.operations.operator import Operator
from jobs.operations.sign_in import make_link
from jobs.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
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
    from benchmarks.fill import fill_ledger
    from tests.servers import PostgresServer

    with closing(PostgresServer(fsync=True)) as postgres, TemporaryDirectory() as folder:
        postgres.start()
        url = postgres.create_database()
        app = boot.configure(boot.build(Settings.read(database_url=url)))
        schema.upgrade(app.database)
        fill_ledger(app.database, given.runs)
        with _program(url, folder, "api", "serve", "--port", "0") as serving:
            base = _where(serving)
            cookie = _sign_in(app, base)
            alone, beside, took = [], [], defaultdict(list)
            with _program(url, folder, "worker"):
                _feed(app)
                _speed(app, 5.0)
                for _ in range(given.rounds):
                    alone.append(_speed(app, given.seconds / 2))
                    stop = threading.Event()
                    load = threading.Thread(target=_load, args=(app, base, cookie, given.rate, stop, took))
                    load.start()
                    beside.append(_speed(app, given.seconds))
                    stop.set()
                    load.join()
        _tell(took, statistics.mean(alone), statistics.mean(beside))
        app.close()


def _tell(took: dict[str, list[float]], alone: float, beside: float) -> None:
    print(f"{'page':32} {'n':>5} {'median':>8} {'p95':>8} {'most':>8}  ms")
    every = [one for each in took.values() for one in each]
    for path, each in [*took.items(), ("all", every)]:
        ordered = sorted(each)
        p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
        print(f"{path:32} {len(each):5} {statistics.median(each):8.1f} {p95:8.1f} {ordered[-1]:8.1f}")
    print(f"worker alone {alone:,.0f} runs/s, beside the pages {beside:,.0f}: {100 * (1 - beside / alone):.1f} % less")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


@contextmanager
def _program(url: str, folder: str, *args: str) -> Iterator[Path]:
    """``jobledger`` with this module's job; where it says what it says."""
    said = Path(folder) / f"{args[0]}.txt"
    env = {**os.environ, "JOBS_DATABASE_URL": url, "PYTHONPATH": str(ROOT), "JOBS_LOG_LEVEL": "warning"}
    with said.open("wb") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", "admin_cli.main", *args, "--import", "benchmarks.web"],
            env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        yield said
    finally:
        child.terminate()
        child.wait(60)


def _where(said: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = re.findall(r"serving (http://[\d.:]+)\n", said.read_text())
        if found:
            return str(found[0])
        time.sleep(0.1)
    raise SystemExit(said.read_text())


def _sign_in(app: App, base: str) -> str:
    body = urlencode({"key": make_link(app, Operator("bench")).rpartition("=")[2]})
    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=20)
    headers = {"Origin": base, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/link", body, headers)
    answer = connection.getresponse()
    assert answer.status == 303, answer.read()
    return (answer.getheader("set-cookie") or "").partition(";")[0]


def _feed(app: App) -> None:
    """More than the worker can do in the time."""
    for start in range(0, 400_000, 20_000):
        enqueue_many([Noop(a=number) for number in range(start, start + 20_000)])


def _speed(app: App, seconds: float) -> float:
    """Runs of ours a second that ended while so much time went by."""
    began, before = time.monotonic(), _done(app)
    time.sleep(seconds)
    return (_done(app) - before) / (time.monotonic() - began)


def _done(app: App) -> int:
    from jobs.ledger.selectors import Selector
    from jobs.ledger.walk import count_up_to

    with app.database.read() as connection:
        left = count_up_to(connection, Selector(queues=("bench",), states=("queued",)), most=1_000_000)
    assert left.number > 1000, "the worker has run out of work: feed it more"
    return -left.number


def _load(app: App, base: str, cookie: str, rate: float, stop: threading.Event, took: dict[str, list[float]]) -> None:
    """Ask for a page every so often, on a thread of its own each, whether or not the last has answered."""
    from jobs.ledger.selectors import Selector
    from jobs.operations import inspect

    dead = inspect.list_runs(app, Operator("bench"), Selector(states=("dead",)), limit=1).runs[0]
    paths = [(one, f"/runs/{dead.id}" if one == "RUN" else one) for one in LISTS]
    asking: list[threading.Thread] = []
    began, number = time.monotonic(), 0
    while not stop.is_set():
        name, path = paths[number % len(paths)]
        due = began + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        one = threading.Thread(target=_ask, args=(base, path, cookie, due, took[name]))
        one.start()
        asking.append(one)
        number += 1
    for one in asking:
        one.join()


def _ask(base: str, path: str, cookie: str, due: float, took: list[float]) -> None:
    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=30)
    connection.request("GET", path, headers={"Cookie": cookie, "Accept": "text/html"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 200, f"{path}: {answer.status}"
    # From when it was due: a client that falls behind does not flatter the server.
    took.append((time.monotonic() - due) * 1000)


if __name__ == "__main__":
    main()
