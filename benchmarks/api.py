"""How long the API lets one wait over a million runs while a worker runs at full load, and what that costs it.

``benchmarks.web`` does the same for the pages.

The API is a process of its own, as `jobledger api serve` runs it; one worker process of 8 threads drains runs that do
nothing. First the worker alone, then while requests come at the rate, then alone again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import timedelta
from urllib.parse import quote

from benchmarks.kit.figures import Figures, program
from benchmarks.kit.modes import FLEET
from benchmarks.kit.places import Place, places
from benchmarks.kit.requests import fill, measure, serving
from jobs import Job, boot, enqueue_many
from jobs.app import App
from jobs.events import BatchSettled
from jobs.ledger.selectors import Selector
from jobs.observe.log import configure_logging, subscribe
from jobs.operations import inspect
from jobs.operations.operator import Operator, Permission
from jobs.operations.tokens import create_token
from jobs.operations.users import create_user
from jobs.settings import Settings
from worker.marks import Marks, MarksTable
from worker.process import Process

BACKLOG = 40_000
"""Runs that wait for the worker at any time."""

LISTS = (
    "runs", "runs?state=dead", "runs?kind=Kind3", "runs?kind=Rare", "runs?queue=queue1&state=succeeded",
    "runs?key=key-17",
    "runs?state=dead&count=true", "runs?limit=500", "runs?where=" + quote("state:dead kind:Kind* age:>1h"),
    "dead-letters", "dead-letter-groups", "errors", "queues", "queues/queue1", "workers", "kinds", "kinds/Kind3",
    "schedules", "audit-entries", "statistics", "users", "tokens", "replays", "cancellations", "purges", "restorations",
    "runs/{run}", "runs/{run}/attempts", "runs/{run}/steps", "runs/{run}/children", "runs/{run}/replays",
    "runs/{run}/followups", "runs/{run}/lineage", "runs/{run}/explanation", "runs/{waiting}/explanation",
)  # fmt: skip


def worker(url: str, redis_url: str) -> None:
    """Drains for ever what this process itself enqueues, and prints how many runs it has ended, twice a second."""

    class Noop(Job):
        a: int

        def perform(self) -> None:
            pass

    settings = Settings.read(database_url=url, redis_url=redis_url, log_format="json", queues=("default",))
    app = boot.configure(boot.build(settings))
    configure_logging(settings)
    subscribe(app.events)
    assert app.ready is not None
    app.ready.mark_intact()
    ended = [0]
    app.events.subscribe(
        BatchSettled, lambda batch: ended.__setitem__(0, ended[0] + sum(one.runs for one in batch))
    )  # fmt: skip
    enqueue_many([Noop(a=number) for number in range(BACKLOG)])
    process = Process(app, "bench", Marks(MarksTable(1).fd, 0))
    process.start()
    made, said = BACKLOG, 0.0
    while True:
        if made - ended[0] < BACKLOG // 2:
            enqueue_many([Noop(a=number) for number in range(5_000)])
            made += 5_000
        if time.monotonic() - said > 0.5:
            said = time.monotonic()
            print(json.dumps({"at": said, "ended": ended[0]}), flush=True)
        time.sleep(0.02)


class Pulse:
    """What the worker says of itself."""

    def __init__(self, place: Place) -> None:
        assert place.redis_url is not None
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.api", "worker", place.database_url, place.redis_url],
            env=place.env(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self._said: list[tuple[float, int]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        self._child.kill()
        self._child.wait()

    def rate(self, seconds: float) -> float:
        """Runs a second over the next so many."""
        time.sleep(0.6)
        first = self._said[-1]
        time.sleep(seconds)
        last = self._said[-1]
        return (last[1] - first[1]) / (last[0] - first[0])

    def warm(self) -> None:
        while len(self._said) < 6 or self._said[-1][1] < BACKLOG:
            time.sleep(0.1)

    def _listen(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            said = json.loads(line)
            self._said.append((said["at"], said["ended"]))


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there, there.ledger(FLEET) as place:
        fill(place, given.runs)
        headers, paths = prepare(place.app)
        with serving(place) as base, closing(Pulse(place)) as pulse:
            pulse.warm()
            measure("lists of the API", place, base, paths, headers, pulse.rate, given, figures)


def prepare(app: App) -> tuple[dict[str, str], dict[str, str]]:
    """An admin's headers, and where each list is."""
    shell = Operator("bench")
    create_user(app, shell, "ada", password="a long enough password", role="admin")
    _, secret = create_token(
        app, shell, user="ada", name="bench", permissions=sorted(Permission), lasts=timedelta(days=1)
    )
    dead = inspect.list_runs(app, shell, Selector(states=("dead",)), limit=1).runs[0]
    waits = inspect.list_runs(app, shell, Selector(states=("queued",)), limit=1).runs[0]
    paths = {one: f"/v1/{one}".format(run=dead.id, waiting=waits.id) for one in LISTS}
    return {"Authorization": f"Bearer {secret}"}, paths


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        worker(*sys.argv[2:])
    else:
        program(
            "api",
            run,
            runs=(1_000_000, "in the ledger"),
            rate=(20.0, "requests a second"),
            seconds=(25.0, "of requests in each round"),
        )
