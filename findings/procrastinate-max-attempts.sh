#!/usr/bin/env bash
# procrastinate 3.10.0: max_attempts=2 makes three attempts, and max_attempts=0 makes attempts without end.
#
# Guess: the option is the most attempts that a job gets, so 2 means two runs and 0 means none or no retry.
# Behaviour: it is the number of retries, and 0 is taken for "not set". The job counts its attempts itself and says 3.
# Seen on 2026-11-30: {2: (3, 'failed', 3), 0: (20, 'succeeded', 20)} as runs, state and count of attempts
# Why it matters: who turns retries off with 0 turns them all on. Here the job stops because it succeeds at the
# twentieth run; one that cannot succeed is run for ever.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check procrastinate==3.10.0
venv/bin/python - <<'PY'
import asyncio
import logging
import sys

from procrastinate import App, RetryStrategy
from procrastinate.testing import InMemoryConnector

logging.disable(logging.CRITICAL)


async def run(max_attempts):
    """How often a job ran that fails nineteen times, its state and its own count of attempts."""
    app, ran = App(connector=InMemoryConnector()), []

    @app.task(name="report", retry=RetryStrategy(max_attempts=max_attempts))
    def report():
        ran.append(1)
        if len(ran) < 20:
            raise OSError

    async with app.open_async():
        await report.defer_async()
        await app.run_worker_async(wait=False, install_signal_handlers=False)
        [job] = app.connector.jobs.values()
    return len(ran), job["status"], job["attempts"]


seen = {count: asyncio.run(run(count)) for count in (2, 0)}
print(seen, "as runs, state and count of attempts")
sys.exit(seen != {2: (3, "failed", 3), 0: (20, "succeeded", 20)})
PY
