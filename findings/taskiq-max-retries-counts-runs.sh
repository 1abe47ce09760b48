#!/usr/bin/env bash
# taskiq 0.13.0: max_retries=1 retries nothing, because it counts the runs.
#
# Guess: max_retries=1 makes one retry, so two runs, and 3 makes four.
# Behaviour: it is the number of runs in both of its middlewares: 1 is one run, as 0 is, and 3 is three.
# Seen on 2026-12-01: {'Simple': {0: 1, 1: 1, 3: 3}, 'Smart': {0: 1, 1: 1, 3: 3}} as max_retries and runs
# Why it matters: "one retry" is the most common setting for a flaky call, and here it is none. Other queues differ the
# other way: max_attempts=2 of procrastinate is three runs, and max_retries=1 of celery and dramatiq is two.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check taskiq==0.13.0
venv/bin/python - <<'PY'
import asyncio
import logging
import sys

from taskiq import InMemoryBroker, SimpleRetryMiddleware
from taskiq.middlewares import SmartRetryMiddleware

logging.disable(logging.CRITICAL)


async def runs(middleware, count):
    broker, seen = InMemoryBroker(await_inplace=True).with_middlewares(middleware), []

    @broker.task(retry_on_error=True, max_retries=count)
    async def job():
        seen.append(count)
        raise OSError

    await broker.startup()
    await job.kiq()
    await broker.wait_all()
    await broker.shutdown()
    return len(seen)


async def look():
    makers = {"Simple": SimpleRetryMiddleware, "Smart": lambda: SmartRetryMiddleware(default_delay=0)}
    return {name: {count: await runs(make(), count) for count in (0, 1, 3)} for name, make in makers.items()}


seen = asyncio.run(look())
print(seen, "as max_retries and runs")
sys.exit(seen != {name: {0: 1, 1: 1, 3: 3} for name in ("Simple", "Smart")})
PY
