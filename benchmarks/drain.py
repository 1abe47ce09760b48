"""How fast one process drains 20,000 runs that do nothing, beside stock dramatiq on Redis in the same minute.

    python benchmarks/drain.py [--runs 20000] [--rounds 3] [--threads 8]

Fleet mode: PostgreSQL with fsync on and Valkey, both from the test wheels, on this machine; logging as it is by
default, to a file. The yardstick records nothing: dramatiq's RedisBroker with ``dramatiq_queue_prefetch=256``.
The aim is 2.0 times its speed, with under 0.05 statements and commits a run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def ours(runs: int, threads: int, url: str, redis_url: str | None) -> dict[str, Any]:
    """Runs a second from the first claim to the last commit."""
    from sqlalchemy import event

    from jobs import Job, boot, enqueue_many, schema
    from jobs.events import BatchSettled
    from jobs.ledger.reports import count_by_state
    from jobs.observe.log import configure_logging, subscribe
    from jobs.settings import Settings
    from jobs.states import RunState
    from worker.marks import Marks, MarksTable
    from worker.process import Process

    class Noop(Job):
        a: int
        b: str = "x" * 100

        def perform(self) -> None:
            pass

    settings = Settings(database_url=url, redis_url=redis_url, threads=threads, log_format="json")
    app = boot.configure(boot.build(settings))
    schema.upgrade(app.database)
    configure_logging(settings)
    subscribe(app.events)
    if app.ready is not None:
        app.ready.wipe()
        app.ready.mark_intact()
    started = time.perf_counter()
    enqueue_many([Noop(a=number) for number in range(runs)])
    enqueued = time.perf_counter() - started
    counts: Counter[str] = Counter()
    event.listen(app.database.engine, "before_cursor_execute", lambda *a: counts.update(["statements"]))
    event.listen(app.database.engine, "commit", lambda *a: counts.update(["commits"]))
    app.events.subscribe(BatchSettled, lambda batch: counts.update({"settled": sum(one.runs for one in batch)}))
    process = Process(app, "bench", Marks(MarksTable(1).fd, 0))
    started, cpu = time.perf_counter(), time.process_time()
    process.start()
    while counts["settled"] < runs:
        time.sleep(0.01)
    took, cpu = time.perf_counter() - started, time.process_time() - cpu
    work = counts["statements"] + counts["commits"]
    with app.database.read() as connection:
        assert count_by_state(connection) == {RunState.SUCCEEDED: runs}
    process.stop(5)
    return {
        "runs_per_second": round(runs / took),
        "cpu_us": round(cpu / runs * 1e6),
        "statements_and_commits_per_run": round(work / runs, 4),
        "enqueued_per_second": round(runs / enqueued),
    }


def stock(runs: int, threads: int, redis_url: str) -> dict[str, Any]:
    """The same for dramatiq alone."""
    os.environ["dramatiq_queue_prefetch"] = "256"  # noqa: SIM112, the name that dramatiq reads
    import logging

    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    logging.getLogger().setLevel("ERROR")
    broker = RedisBroker(url=redis_url)
    dramatiq.set_broker(broker)
    broker.flush_all()

    @dramatiq.actor
    def noop(a: int, b: str) -> None:
        pass

    started = time.perf_counter()
    for number in range(runs):
        noop.send(number, "x" * 100)
    enqueued = time.perf_counter() - started
    worker = dramatiq.Worker(broker, worker_threads=threads)
    started, cpu = time.perf_counter(), time.process_time()
    worker.start()
    while broker.do_qsize("default"):
        time.sleep(0.01)
    took, cpu = time.perf_counter() - started, time.process_time() - cpu
    worker.stop()
    return {
        "runs_per_second": round(runs / took),
        "cpu_us": round(cpu / runs * 1e6),
        "enqueued_per_second": round(runs / enqueued),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--child", nargs="*", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        what, *urls = given.child
        result = stock(given.runs, given.threads, urls[0]) if what == "stock" else ours(
            given.runs, given.threads, urls[0], urls[1] if len(urls) > 1 else None
        )  # fmt: skip
        print(json.dumps(result))
        return
    from tests.servers import PostgresServer, RedisServer

    with closing(PostgresServer(fsync=True)) as postgres, closing(RedisServer()) as redis:
        postgres.start()
        redis.start()
        ratios = []
        for _ in range(given.rounds):
            yardstick = _child(given, "stock", redis.url)
            fleet = _child(given, "ours", postgres.create_database(), redis.url)
            alone = _child(given, "ours", postgres.create_database())
            ratios.append(fleet["runs_per_second"] / yardstick["runs_per_second"])
            print(f"stock dramatiq on Redis   {yardstick}")
            print(f"PostgreSQL and Redis      {fleet}")
            print(f"PostgreSQL alone          {alone}")
            print(f"                          {ratios[-1]:.2f} times stock (aim: 2.0)\n")
        print(f"best of {given.rounds}: {max(ratios):.2f} times stock; load average {os.getloadavg()[0]:.1f}")


def _child(given: argparse.Namespace, *what: str) -> dict[str, Any]:
    """Each in a process of its own: what one leaves in memory is no burden of the next."""
    command = [sys.executable, __file__, "--runs", str(given.runs), "--threads", str(given.threads), "--child", *what]
    with open(os.devnull, "w") as log:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=log, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
