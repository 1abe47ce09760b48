"""What an idle worker process costs: statements, Redis calls and processor time a minute.

    python benchmarks/asks.py [--seconds 60]

The aim: under 60 statements and 400 Redis calls a minute, and under 1 % of a core.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def measure(url: str, redis_url: str | None, seconds: float) -> dict[str, float]:
    """The counts per minute of one process that serves one empty queue."""
    import redis
    from sqlalchemy import Engine, event

    from jobs import Job, boot
    from jobs.migration import schema
    from jobs.settings import Settings
    from worker.process.process import Process
    from worker.protocol.running_table import RunningRows, RunningTable

    class Idle(Job):
        def perform(self) -> None:
            pass

    app = boot.configure(boot.build(Settings(database_url=url, redis_url=redis_url, log_level="error")))
    schema.upgrade(app.database)
    if app.ready is not None:
        app.ready.mark_intact()
    counts: Counter[str] = Counter()
    # Count for every engine, since the heartbeat has one of its own.
    event.listen(Engine, "before_cursor_execute", lambda *a: counts.update(["statements"]))
    process = Process(app, "idle", RunningRows(RunningTable(1).fd, 0))
    process.start()
    time.sleep(5)  # skip the first polls, which are frequent
    counts.clear()
    before = _calls(redis, redis_url)
    began, cpu = time.monotonic(), time.process_time()
    time.sleep(seconds)
    minutes = (time.monotonic() - began) / 60
    cpu = time.process_time() - cpu
    calls = _calls(redis, redis_url) - before
    process.stop(1)
    return {
        "statements_a_minute": round(counts["statements"] / minutes),
        "redis_calls_a_minute": round(calls / minutes),
        "percent_of_a_core": round(cpu / minutes / 60 * 100, 2),
    }


def _calls(redis, url: str | None) -> int:  # type: ignore[no-untyped-def]
    if url is None:
        return 0
    with redis.Redis.from_url(url) as client:
        stats = client.info("commandstats")
        # Only what clients sent, not the commands that a script runs inside the server.
        return sum(int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("bzpopmin", "evalsha", "eval"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    from tests.servers import PostgresServer, RedisServer

    with closing(PostgresServer()) as postgres, closing(RedisServer()) as redis:
        postgres.start()
        redis.start()
        for name, redis_url in (("PostgreSQL and Redis", redis.url), ("PostgreSQL alone", None)):
            pid = os.fork()
            if pid == 0:
                print(f"{name:22}", measure(postgres.create_database(), redis_url, given.seconds), flush=True)
                os._exit(0)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
