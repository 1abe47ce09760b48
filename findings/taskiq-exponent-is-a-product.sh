#!/usr/bin/env bash
# taskiq 0.13.0: use_delay_exponent=True has no exponent, and grows otherwise with a schedule source than without.
#
# Guess: SmartRetryMiddleware(default_delay=5, use_delay_exponent=True) waits 5, 10, 20, 40, 80 s either way.
# Behaviour: the wait is the delay times the number of the retry. Without a schedule source the product becomes the
# message's delay and is multiplied again, so the waits are factorials; with one it starts from 5 each time.
# Seen on 2026-11-30: {'no source': [5.0, 10.0, 30.0, 120.0, 600.0], 'source': [5.0, 10.0, 15.0, 20.0, 25.0]}
# Why it matters: the same setting reaches its limit of 60 s at the fourth retry or at the twelfth. To move from a
# broker's own delays to a schedule source turns a steep back-off into an almost level one.
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

from taskiq import InMemoryBroker
from taskiq.abc.schedule_source import ScheduleSource
from taskiq.middlewares import SmartRetryMiddleware


class AtOnce(ScheduleSource):
    async def get_schedules(self):
        return []

    async def add_schedule(self, schedule):
        await broker.find_task(schedule.task_name).kicker().with_labels(**schedule.labels).kiq()


class Noted(SmartRetryMiddleware):
    def make_delay(self, message, retries):
        waits.append(super().make_delay(message, retries))
        return waits[-1]


async def job():
    raise OSError


async def look(source):
    broker.add_middlewares(Noted(
        default_retry_count=6, default_retry_label=True, default_delay=5, max_delay_exponent=10_000,
        use_jitter=False, use_delay_exponent=True, schedule_source=source,
    ))
    await broker.register_task(job, task_name="job").kiq()
    for _ in range(200):
        if len(waits) == 5:
            break
        await asyncio.sleep(0.05)


logging.disable()
seen = {}
for name, source in (("no source", None), ("source", AtOnce())):
    broker, waits = InMemoryBroker(), []
    asyncio.run(look(source))
    seen[name] = waits
print(seen)
sys.exit(seen != {"no source": [5, 10, 30, 120, 600], "source": [5, 10, 15, 20, 25]})
PY
