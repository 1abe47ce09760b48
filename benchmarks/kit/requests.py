"""Requests to `jobledger api serve` at a steady rate beside a worker at full load, and how each slows the other.

An open loop: a late response delays no other request, and each is timed from its due time. Connections stay open, as
with browsers and programs.
"""

from __future__ import annotations

import argparse
import itertools
import queue
import statistics
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from urllib.parse import urlsplit

from benchmarks.kit.asker import Asker
from benchmarks.kit.drainer import Drainer
from benchmarks.kit.figures import Figures, percentile, stopwatch
from benchmarks.kit.fill import fill_ledger
from benchmarks.kit.places import Place, wait_for
from tests.server_process import free_port

AT_ONCE = 16
"""The most concurrent requests; a request that must wait is late by that wait."""
TURNS = 2
"""How often a round measures the worker beside requests. Each time lasts as long as the most expensive cached figure
stays fresh; otherwise it would be computed for every few requests, or for none."""
EARLIER = 5.0
"""Seconds of requests before the worker is measured beside them. Without requests all caches have expired, and are
filled at once."""
LONGER = 1.2
"""Seconds of requests afterwards, since the worker reports half a second late."""
OPTIONS = {
    "runs": (1_000_000, "in the ledger"),
    "rate": (20.0, "requests a second"),
    "seconds": (60.0, "of requests in each round"),
}
"""The options of each program that measures requests."""

Took = dict[str, list[float]]
"""Milliseconds by the name of the address."""


def fill(place: Place, runs: int) -> None:
    """Put ``runs`` runs into the ledger, and print the duration. They go back 30 days only, so no worker prunes
    them."""
    place.environment |= {f"JOBS_RETAIN_{state}": "400d" for state in ("SUCCEEDED", "CANCELLED")}
    with stopwatch() as took:
        fill_ledger(place.app.database, runs)
    print(f"filled {runs:,} runs in {took():.0f} s", flush=True)


@contextmanager
def serving(place: Place) -> Iterator[str]:
    """Serve the API and the pages of the ledger in a process of their own. Gives the URL."""
    base = f"http://127.0.0.1:{free_port()}"
    with place.command("api", "serve", "--port", str(urlsplit(base).port), JOBS_LOG_LEVEL="warning"):
        wait_for(lambda: _answers(base))
        yield base


def press(
    base: str,
    paths: Mapping[str, str],
    headers: Mapping[str, str],
    *,
    rate: float,
    seconds: float,
    names: Iterator[str],
) -> Took:
    """Request each address in turn, ``rate`` a second, whether or not the last response has come.

    Args:
        paths: the addresses, by their names in the result.
        names: the order of the requests.

    Raises:
        SystemExit: a response was not 200.
    """
    took: Took = {name: [] for name in paths}
    failed: list[str] = []
    waiting: queue.Queue[tuple[str, float] | None] = queue.Queue()

    def serve() -> None:
        with closing(Asker(base, headers)) as asker:
            while (one := waiting.get()) is not None:
                name, due = one
                try:
                    asker.ask(paths[name])
                except (OSError, ValueError) as error:
                    failed.append(f"{paths[name]}: {error}")
                else:
                    took[name].append((time.monotonic() - due) * 1000)

    threads = [threading.Thread(target=serve) for _ in range(AT_ONCE)]
    for one in threads:
        one.start()
    began = time.monotonic()
    for number in range(int(seconds * rate)):
        due = began + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        waiting.put((next(names), due))
    for _ in threads:
        waiting.put(None)
    for one in threads:
        one.join()
    if failed:
        raise SystemExit("\n".join([f"{len(failed)} requests failed:", *failed[:10]]))
    return took


def measure(
    what: str,
    place: Place,
    base: str,
    paths: Mapping[str, str],
    headers: Mapping[str, str],
    given: argparse.Namespace,
    figures: Figures,
) -> None:
    """Request all ``paths`` beside a worker, in rounds. In each the worker runs alone, beside requests and alone
    again, several times, since a machine's speed changes over a round.

    Args:
        what: the name of the figures.
    """
    took: Took = {name: [] for name in paths}
    seconds = given.seconds / TURNS
    ask = partial(press, base, paths, headers, rate=given.rate, names=itertools.cycle(paths))
    with closing(Drainer(place, waiting=given.waiting)) as drainer, ThreadPoolExecutor(1) as pool:
        drainer.wait_until_warm()
        # The first responses of each address build its statements and its template.
        ask(seconds=3 * len(paths) / given.rate)
        for _ in range(given.repeats):
            alone, beside = [], []
            for _ in range(TURNS):
                alone.append(drainer.rate(seconds / 2))
                asking = pool.submit(ask, seconds=EARLIER + seconds + LONGER)
                time.sleep(EARLIER)
                beside.append(drainer.rate(seconds))
                for name, each in asking.result().items():
                    took[name] += each
                alone.append(drainer.rate(seconds / 2))
            loss = (1 - statistics.mean(beside) / statistics.mean(alone)) * 100
            print(f"worker {statistics.mean(alone):,.0f} runs/s alone, {loss:.1f} % less beside", flush=True)
            figures.add(f"{what}: the worker alone", place.mode, "runs/s", statistics.mean(alone))
            figures.add(f"{what}: what the worker loses", place.mode, "%", loss)
    every = [one for each in took.values() for one in each]
    slowest = max(took, key=lambda name: percentile(took[name], 0.95))
    figures.add(f"{what}: all answers, p50", place.mode, "ms", statistics.median(every))
    figures.add(f"{what}: all answers, p95", place.mode, "ms", percentile(every, 0.95))
    worst = percentile(took[slowest], 0.95)
    figures.add(f"{what}: the slowest address, p95", place.mode, "ms", worst, address=slowest)
    _show(took)


def _show(took: Took) -> None:
    """Print the durations, the slowest first."""
    print(f"{'milliseconds':64} {'n':>5} {'median':>8} {'p95':>8} {'most':>8}")
    for name, each in sorted(took.items(), key=lambda one: -percentile(one[1], 0.95)):
        found = (statistics.median(each), percentile(each, 0.95), max(each))
        print(f"{name[:64]:64} {len(each):5} " + " ".join(f"{one:8.1f}" for one in found))


def _answers(base: str) -> bool:
    try:
        with closing(Asker(base, {})) as asker:
            asker.ask("/healthz")
    except OSError:
        return False
    return True
