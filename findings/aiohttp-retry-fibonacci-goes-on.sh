#!/usr/bin/env bash
# aiohttp-retry 2.9.1: with FibonacciRetry a request starts with the waits at which the one before it has ended.
#
# Guess: the options are a description, so each request waits 0.1, 0.15, 0.25 s with a multiplier of 0.05.
# Behaviour: the step is kept in the options and never begins anew. Each retry of any request pushes it on, until each
# wait is max_timeout. ExponentialRetry counts by the attempt.
# Seen on 2026-12-01: waits of two requests: [0.1, 0.15, 0.25] and [0.4, 0.65, 1.05]
# Why it matters: a worker lives for weeks with one client. After its first dozen of failures every small hiccup costs
# the longest wait, and a restart makes the jobs fast again, so that the cause is looked for elsewhere.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check aiohttp-retry==2.9.1 aiohttp==3.14.5
venv/bin/python - <<'PY'
import asyncio
import sys

from aiohttp import web
from aiohttp_retry import FibonacciRetry, RetryClient


async def serve(seen):
    async def refuse(request):
        seen.append(asyncio.get_running_loop().time())
        return web.Response(status=503)

    application = web.Application()
    application.router.add_get("/", refuse)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    return runner, f"http://{host}:{port}/"


async def look():
    seen, waits = [], []
    runner, url = await serve(seen)
    async with RetryClient(retry_options=FibonacciRetry(attempts=4, multiplier=0.05, max_timeout=10)) as client:
        for _ in range(2):
            seen.clear()
            async with client.get(url):
                waits.append([after - before for before, after in zip(seen, seen[1:], strict=False)])
    await runner.cleanup()
    return waits


first, second = asyncio.run(look())
print("waits of two requests:", " and ".join(str([round(one, 2) for one in waits]) for waits in (first, second)))
sys.exit(not (len(first) == len(second) == 3 and sum(second) > 2.0 and second[0] > 0.39 > first[0]))
PY
