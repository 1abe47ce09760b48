"""How long the API lets one wait over a million runs while a worker runs at full load, and what that costs it.

``benchmarks.web`` does the same for the pages.

    python -m benchmarks.api [--runs 1000000] [--seconds 20] [--rate 20] [--url postgresql://…]

PostgreSQL with fsync on and the API in a process of its own, as `jobledger api serve` runs it; one worker process of 8
threads on Redis drains runs that do nothing. First the worker alone, then while requests come at the rate, then alone
again. The aims: each 95th percentile below 150 ms, and at most 5 % of the worker's speed.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

AIM_MS, AIM_LOSS = 150.0, 0.05
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
    from jobs import Job, boot, enqueue_many
    from jobs.events import BatchSettled
    from jobs.observe.log import configure_logging, subscribe
    from jobs.settings import Settings
    from worker.marks import Marks, MarksTable
    from worker.process import Process

    class Noop(Job):
        a: int

        def perform(self) -> None:
            pass

    settings = Settings(database_url=url, redis_url=redis_url, log_format="json", queues=("default",))
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

    def __init__(self, url: str, redis_url: str) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.api", "--worker", url, redis_url],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
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


@contextmanager
def serving(url: str, redis_url: str) -> Iterator[str]:
    """The API over the ledger; its URL."""
    env = {**os.environ, "JOBS_DATABASE_URL": url, "JOBS_REDIS_URL": redis_url}
    child = subprocess.Popen(
        [sys.executable, "-m", "admin_cli.main", "api", "serve", "--port", "0"], cwd=ROOT, env=env,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stderr is not None
    try:
        line = next(line for line in child.stderr if "serving http" in line)
        threading.Thread(target=child.stderr.read, daemon=True).start()
        yield line[line.index("http") :].split()[0].rstrip(".")
    finally:
        child.terminate()
        child.wait()


def ask(base: str, path: str, headers: dict[str, str], due: float, took: dict[str, list[float]]) -> None:
    """One request, timed from when it was due: a client that falls behind does not flatter the server."""
    place = urlsplit(base)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    took.setdefault(path, []).append((time.monotonic() - due) * 1000)
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {body[:300]!r}")


def press(
    base: str, paths: list[str], headers: dict[str, str], *, rate: float, seconds: float
) -> dict[str, list[float]]:
    """Ask for each in turn, ``rate`` a second whether or not the last has been answered; milliseconds by path."""
    took: dict[str, list[float]] = {}
    waiting: queue.Queue[tuple[str, float] | None] = queue.Queue()

    def serve() -> None:
        while (one := waiting.get()) is not None:
            path, due = one
            ask(base, path, headers, due, took)

    threads = [threading.Thread(target=serve) for _ in range(16)]
    for one in threads:
        one.start()
    begin = time.monotonic()
    for number, path in enumerate(itertools.cycle(paths)):
        due = begin + number / rate
        if due - begin > seconds:
            break
        time.sleep(max(0.0, due - time.monotonic()))
        waiting.put((path, due))
    for _ in threads:
        waiting.put(None)
    for one in threads:
        one.join()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker(*given.worker)
        return
    from tests.servers import PostgresServer, RedisServer

    with ExitStack() as stack:
        postgres = stack.enter_context(closing(PostgresServer(fsync=True)))
        redis = stack.enter_context(closing(RedisServer()))
        postgres.start()
        redis.start()
        url = postgres.create_database()
        headers, run, waiting = prepare(url, given.runs)
        base = stack.enter_context(serving(url, redis.url))
        pulse = stack.enter_context(closing(Pulse(url, redis.url)))
        pulse.warm()
        asked = [f"/v1/{one}".replace("{run}", run).replace("{waiting}", waiting) for one in LISTS]
        press(base, asked, headers, rate=given.rate, seconds=len(asked) / given.rate)
        alone = pulse.rate(given.seconds / 2)
        took: dict[str, list[float]] = {}
        asking = threading.Thread(
            target=lambda: took.update(press(base, asked, headers, rate=given.rate, seconds=given.seconds + 2))
        )
        asking.start()
        beside = pulse.rate(given.seconds)
        asking.join()
        alone = (alone + pulse.rate(given.seconds / 2)) / 2
        show(took, alone, beside, given)


def prepare(url: str, runs: int) -> tuple[dict[str, str], str, str]:
    """Fill the ledger; an admin's headers, a dead run and a waiting one."""
    from benchmarks.fill import fill_ledger
    from jobs import boot, schema
    from jobs.ledger.selectors import Selector
    from jobs.operations import inspect
    from jobs.operations.operator import Operator, Permission
    from jobs.operations.tokens import create_token
    from jobs.operations.users import create_user
    from jobs.settings import Settings

    app = boot.build(Settings(database_url=url))
    schema.upgrade(app.database)
    began = time.perf_counter()
    fill_ledger(app.database, runs)
    print(f"filled {runs:,} runs in {time.perf_counter() - began:.0f} s", flush=True)
    shell = Operator("bench")
    create_user(app, shell, "ada", password="a long enough password", role="admin")
    _, secret = create_token(
        app, shell, user="ada", name="bench", permissions=sorted(Permission), lasts=timedelta(days=1)
    )
    dead = inspect.list_runs(app, shell, Selector(states=("dead",)), limit=1).runs[0]
    waits = inspect.list_runs(app, shell, Selector(states=("queued",)), limit=1).runs[0]
    app.close()
    return {"Authorization": f"Bearer {secret}"}, str(dead.id), str(waits.id)


def show(took: dict[str, list[float]], alone: float, beside: float, given: argparse.Namespace) -> None:
    every = sorted(one for each in took.values() for one in each)
    print(f"{len(every)} requests at {given.rate:g}/s; load average {os.getloadavg()[0]:.1f}")
    for path, each in sorted(took.items(), key=lambda one: -max(one[1])):
        print(f"  {path[:70]:70} median {sorted(each)[len(each) // 2]:7.1f} ms   slowest {max(each):7.1f} ms")
    p95 = every[int(len(every) * 0.95)]
    print(f"  p95 of all {p95:.1f} ms (aim: {AIM_MS:.0f})")
    print(
        f"  worker {alone:,.0f} runs/s alone, {beside:,.0f} beside: {1 - beside / alone:.1%} less (aim: {AIM_LOSS:.0%})"
    )


if __name__ == "__main__":
    main()
