"""Drainer: a worker at full load during a measurement, one process of 8 threads that performs runs which do nothing.

It enqueues the runs that it drains, so that enough always wait, and reports twice a second how many have ended.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

from benchmarks.kit.places import Place, wait_for
from benchmarks.kit.work import Noop
from jobs import boot, enqueue_many
from jobs.events import BatchSettled
from jobs.observe.log import configure_logging, subscribe
from jobs.settings import Settings
from worker.process.process import Process
from worker.protocol.running_table import RunningRows, RunningTable

AT_ONCE = 5_000
"""Runs per enqueue until enough wait."""
MORE = 500
"""Runs per enqueue after that; small, so that a second has many such pauses instead of one or two."""
STARTED = 20_000
"""The number of runs after which its pools, plans and caches are warm."""


class Drainer:
    """The worker, which runs until ``close``.

    Args:
        waiting: the number of runs that always wait for it.
    """

    def __init__(self, place: Place, *, waiting: int) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.kit.drainer", str(waiting)],
            env=place.env(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self._said: list[tuple[float, int]] = [(0.0, 0)]
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        self._child.kill()
        self._child.wait()

    def wait_until_warm(self) -> None:
        wait_for(lambda: self._said[-1][1] >= STARTED, seconds=600)

    def rate(self, seconds: float) -> float:
        """The runs per second that end within the next ``seconds``."""
        first = self._next()
        time.sleep(seconds)
        last = self._next()
        return (last[1] - first[1]) / (last[0] - first[0])

    def _next(self) -> tuple[float, int]:
        """The next report."""
        heard = len(self._said)
        wait_for(lambda: len(self._said) > heard, every=0.01)
        return self._said[-1]

    def _listen(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            said = json.loads(line)
            self._said.append((said["at"], said["ended"]))


def drain(waiting: int) -> None:
    """Drain for ever, in the place that the environment names."""
    settings = Settings.read(log_format="json", queues=("default",))
    app = boot.configure(boot.build(settings))
    configure_logging(settings)
    subscribe(app.events)
    if app.ready is not None:
        app.ready.mark_intact()
    ended = [0]
    app.events.subscribe(
        BatchSettled, lambda batch: ended.__setitem__(0, ended[0] + sum(one.runs for one in batch))
    )  # fmt: skip
    made = 0
    for _ in range(0, waiting, AT_ONCE):
        made += _enqueue(AT_ONCE)
    process = Process(app, "bench", RunningRows(RunningTable(1).fd, 0))
    process.start()
    said = 0.0
    while True:
        # One enqueue, then the report: a worker that ends runs as fast as they come would delay the report for ever.
        if made - ended[0] < waiting - MORE:
            made += _enqueue(MORE)
        else:
            time.sleep(0.02)
        if time.monotonic() - said > 0.5:
            said = time.monotonic()
            print(json.dumps({"at": said, "ended": ended[0]}), flush=True)


def _enqueue(runs: int) -> int:
    """Enqueue ``runs`` runs; returns how many."""
    return len(enqueue_many([Noop(a=number, b="") for number in range(runs)]))


if __name__ == "__main__":
    drain(int(sys.argv[1]))
